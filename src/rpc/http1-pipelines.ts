import type { RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests that a client may send over HTTP/1.1 before it has the answer to the first. */
const MAX_PIPELINED = 32;

/**
 * Bounds what one connection has under way: one chunk of input can hold a thousand requests, and the runtime starts them
 * all at once. And when the connection is lost, has all of them know: the runtime tells but the first that has no answer.
 */
export function limitPipelines(serve: RequestListener): RequestListener {
  const underWay = new WeakMap<Socket, Set<ServerResponse>>();
  return (request, response) => {
    const { socket } = request;
    const responses = underWay.get(socket) ?? begin(socket);
    underWay.set(socket, responses);
    if (responses.size >= MAX_PIPELINED || socket.destroyed) {
      socket.destroy();
      return;
    }
    responses.add(response);
    response.once("close", () => responses.delete(response));
    serve(request, response);
  };
}

function begin(socket: Socket): Set<ServerResponse> {
  const responses = new Set<ServerResponse>();
  socket.once("close", () => {
    for (const response of responses) {
      response.destroy();
      // One that has not got the connection yet would never say so by itself.
      response.emit("close");
    }
  });
  return responses;
}
