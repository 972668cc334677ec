import type { Server as Http1Server } from "node:http";
import { Server as Http1TlsServer } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { holdReading } from "../http2/socket-reading.ts";
import { Turns } from "../http2/turns.ts";
import { isTrusted } from "./tls-identity.ts";

/** What every HTTP/2 client sends first (RFC 9113, 3.4), and no HTTP/1.1 client may. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Makes the HTTP/1.1 server, which owns the port, hand over the connections that speak HTTP/2: those that say so in their
 * TLS handshake (ALPN), and of those that say nothing there the ones that open with the HTTP/2 preface. The first bytes
 * are looked at as they come and put back whole. A connection that has not shown what it speaks after `timeoutMs` is
 * closed.
 *
 * One connection is handed over in each round of the event loop: what it has sent by then is read at once, and everybody else
 * waits meanwhile. Of those that wait nothing is read.
 *
 * @param onHttp1 told of the connections that the server serves, once it does
 * @returns the connections that have not been handed over
 */
export function splitByProtocol(
  server: Http1Server | Http1TlsServer,
  acceptHttp2: (socket: Socket) => void,
  onHttp1: (socket: Socket) => void,
  timeoutMs: number,
): ReadonlySet<Socket> {
  const undecided = new Set<Socket>();
  const isTls = server instanceof Http1TlsServer;
  const opened = isTls ? "secureConnection" : "connection";
  const turns = new Turns();
  const serveHttp1 = server.listeners(opened);
  server.removeAllListeners(opened);
  // After that, or what ends the tracking would go with them.
  if (isTls) trackHandshakes(server, undecided);
  server.on(opened, (socket: Socket) => {
    // A reset of the connection is not an event worth more than its closing, which follows. Kept for the socket's whole
    // life: the servers do not listen from the first moment to the last, and an error nobody listens to ends the process.
    socket.on("error", () => socket.destroy());
    if (!isTrusted(socket)) {
      socket.destroy();
      return;
    }
    const give = (isHttp2: boolean) => {
      undecided.delete(socket);
      if (socket.destroyed) return;
      if (isHttp2) acceptHttp2(socket);
      else {
        for (const listener of serveHttp1) listener.call(server, socket);
        onHttp1(socket);
      }
    };
    const decide = (isHttp2: boolean) => {
      if (turns.tryTake()) {
        give(isHttp2);
        return;
      }
      const readOn = holdReading(socket);
      const onTurn = () => {
        readOn();
        give(isHttp2);
      };
      turns.wait(onTurn);
      socket.once("close", () => turns.leave(onTurn));
    };
    undecided.add(socket);
    socket.once("close", () => undecided.delete(socket));
    const announced = socket instanceof TLSSocket && socket.alpnProtocol;
    if (announced) decide(announced === "h2");
    else peek(socket, timeoutMs, decide);
  });
  return undecided;
}

/** A connection is undecided from its opening. Its TLS socket is another object, which has the same peer. */
function trackHandshakes(server: Http1TlsServer, undecided: Set<Socket>): void {
  const byPeer = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    // Of a Unix socket's peers nothing is known; their handshakes have but their time limit.
    if (peer === undefined) return;
    byPeer.set(peer, socket);
    undecided.add(socket);
    socket.once("close", () => {
      byPeer.delete(peer);
      undecided.delete(socket);
    });
  });
  server.on("secureConnection", (secured: Socket) => {
    const socket = byPeer.get(peerOf(secured) ?? "");
    if (socket !== undefined) undecided.delete(socket);
  });
}

function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`;
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
}
