import type { Server as Http1Server } from "node:http";
import type { Http2Server } from "node:http2";
import type { Socket } from "node:net";

/** What every HTTP/2 client sends first (RFC 9113, 3.4), and no HTTP/1.1 client may. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Makes the HTTP/1.1 server, which owns the port, hand connections that open with the HTTP/2 preface to the HTTP/2 server.
 * The first bytes are looked at as they come and put back whole. A connection that has not shown what it speaks after
 * `timeoutMs` is closed.
 *
 * @returns the connections that have not shown it yet
 */
export function splitByPreface(http1: Http1Server, http2: Http2Server, timeoutMs: number): ReadonlySet<Socket> {
  const undecided = new Set<Socket>();
  const serveHttp1 = http1.listeners("connection");
  http1.removeAllListeners("connection");
  http1.on("connection", (socket: Socket) => {
    undecided.add(socket);
    socket.once("close", () => undecided.delete(socket));
    peek(socket, timeoutMs, (isHttp2) => {
      undecided.delete(socket);
      if (isHttp2) http2.emit("connection", socket);
      else for (const listener of serveHttp1) listener.call(http1, socket);
    });
  });
  return undecided;
}

function peek(socket: Socket, timeoutMs: number, decide: (isHttp2: boolean) => void): void {
  let received = Buffer.alloc(0);
  const giveUp = () => socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  const finish = () => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("end", giveUp);
    socket.off("close", finish);
  };
  const look = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      received = Buffer.concat([received, chunk]);
    }
    const length = Math.min(received.length, PREFACE.length);
    const isPrefix = received.subarray(0, length).equals(PREFACE.subarray(0, length));
    if (isPrefix && length < PREFACE.length) return;
    finish();
    socket.unshift(received);
    decide(isPrefix);
  };
  socket.on("readable", look);
  // Sockets stay open for writing after the peer's FIN; one that ends here has asked nothing.
  socket.once("end", giveUp);
  socket.once("close", finish);
  // A reset of the connection is not an event worth more than its closing, which follows. Kept for the socket's whole
  // life: the servers do not listen from the first moment to the last, and an error nobody listens to ends the process.
  socket.on("error", () => socket.destroy());
}
