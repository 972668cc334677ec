import type { Server } from "node:https";
import type { Socket } from "node:net";
import { Turns } from "../http2/turns.ts";

/**
 * Has a server begin one TLS handshake in each round of the event loop, in the order in which clients have said hello: one takes the
 * processor for about a millisecond, and Node does as many in a row as have come, while everybody else waits. Called before
 * anything else listens to the server's connections.
 *
 * @param timeoutMs within which a client must have begun to say hello
 */
export function takeTurnsAtHandshakes(server: Server, timeoutMs: number): void {
  const turns = new Turns();
  const shakeHands = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    const giveUp = () => socket.destroy();
    const timer = setTimeout(giveUp, timeoutMs);
    socket.once("close", () => clearTimeout(timer));
    // Its resets have nobody else to listen to them by now, and an error nobody listens to ends the process.
    socket.on("error", giveUp);
    // What has been read by then TLS finds in the socket.
    socket.once("readable", () => {
      clearTimeout(timer);
      if (socket.readableLength === 0) giveUp();
      else turns.wait(() => begin(socket));
    });
  });

  function begin(socket: Socket): void {
    if (socket.destroyed) return;
    for (const listener of shakeHands) listener.call(server, socket);
  }
}
