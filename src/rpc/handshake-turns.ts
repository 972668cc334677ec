import type { Server } from "node:https";
import type { Socket } from "node:net";
import { Turns } from "../http2/turns.ts";

/** Of a TLS record (RFC 8446, 5.1): its type, 22 for a handshake, the version, and how many bytes follow. */
const RECORD_HEAD_BYTES = 5;
const HANDSHAKE = 22;
/** No hello is larger; what says that it is, or is none, TLS may refuse at once. */
const MAX_HELLO_BYTES = 16 * 1024;

/**
 * Has a server begin one TLS handshake in each round of the event loop, in the order in which clients have said hello: one takes the
 * processor for about a millisecond, and Node does as many in a row as have come, while everybody else waits. Called before
 * anything else listens to the server's connections.
 *
 * @param timeoutMs within which a client must have said hello and had its turn
 */
export function takeTurnsAtHandshakes(server: Server, timeoutMs: number): void {
  const turns = new Turns();
  const shakeHands = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    awaitHello(socket, timeoutMs, (begin) => {
      turns.wait(() => {
        if (!begin()) return;
        for (const listener of shakeHands) listener.call(server, socket);
      });
    });
  });
}

/**
 * Calls `onHello` once a client's hello is there. With what that is given the connection is let go, its bytes put back; false for one
 * that has gone by then, or ran out of time.
 */
function awaitHello(socket: Socket, timeoutMs: number, onHello: (begin: () => boolean) => void): void {
  let received = Buffer.alloc(0);
  let hasHello = false;
  const giveUp = () => socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  socket.once("close", () => clearTimeout(timer));
  // Its resets have nobody else to listen to them by now, and an error nobody listens to ends the process.
  socket.on("error", giveUp);
  const begin = () => {
    if (socket.destroyed) return false;
    clearTimeout(timer);
    socket.off("readable", read);
    socket.off("end", giveUp);
    socket.unshift(received);
    return true;
  };
  const read = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      received = Buffer.concat([received, chunk]);
    }
    // It has nothing to say before it is answered.
    if (received.length > RECORD_HEAD_BYTES + MAX_HELLO_BYTES) giveUp();
    else if (!hasHello && isHello(received)) {
      hasHello = true;
      onHello(begin);
    }
  };
  // Read on until its turn: so that its end is seen.
  socket.on("readable", read);
  socket.once("end", giveUp);
}

/** Whether a whole hello is there, or the beginning of something else. */
function isHello(received: Buffer): boolean {
  if (received.length > 0 && received[0] !== HANDSHAKE) return true;
  if (received.length < RECORD_HEAD_BYTES) return false;
  return received.length >= RECORD_HEAD_BYTES + Math.min(received.readUInt16BE(3), MAX_HELLO_BYTES);
}
