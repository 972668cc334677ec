import http2 from "node:http2";
import { TLSSocket } from "node:tls";
import type { Peer, PeerOf } from "../callers/peer.ts";
import type { Http2Transport } from "./http2-transport.ts";
import { http2Exchange } from "./node-exchange.ts";
import type { RequestListener } from "./request-listener.ts";
import { HTTP2_OPTIONS, IDLE_SESSION_TIMEOUT_MS, SETTINGS_TIMEOUT_MS } from "./transport-limits.ts";

/** HTTP/2 by Node's own implementation. */
export function createNodeHttp2(listener: RequestListener, peerOf: PeerOf): Http2Transport {
  const peers = new WeakMap<http2.Http2Session, Peer>();
  const server = http2.createServer(HTTP2_OPTIONS, (request, response) => {
    const peer = request.stream.session === undefined ? undefined : peers.get(request.stream.session);
    // One that has lost its session has nobody to answer.
    if (peer !== undefined) listener.handle(http2Exchange(request, response, peer));
  });
  const sessions = new Map<http2.ServerHttp2Session, OpenStreams>();
  let accepting: Peer | undefined;
  server.on("session", (session) => {
    // The server makes a session of a socket while it is told of it. The session's own socket is a stand-in.
    if (accepting !== undefined) peers.set(session, accepting);
    sessions.set(session, closeWhenIdle(session));
    session.once("close", () => sessions.delete(session));
  });
  return {
    accept(socket) {
      // Node's server refuses a TLS connection that named no protocol; this one has shown the preface instead.
      if (socket instanceof TLSSocket && socket.alpnProtocol === false) socket.alpnProtocol = "h2";
      accepting = peerOf(socket);
      server.emit("connection", socket);
      accepting = undefined;
    },
    drain() {
      for (const session of sessions.keys()) session.close();
    },
    get streamCount() {
      let count = 0;
      for (const streams of sessions.values()) count += streams.open;
      return count;
    },
  };
}

interface OpenStreams {
  open: number;
}

/** Also a session whose client never gets beyond the preface. Returns how many streams it has open. */
function closeWhenIdle(session: http2.ServerHttp2Session): OpenStreams {
  const streams = { open: 0 };
  const settings = setTimeout(() => session.destroy(), SETTINGS_TIMEOUT_MS);
  session.once("remoteSettings", () => clearTimeout(settings));
  session.once("close", () => clearTimeout(settings));
  session.on("stream", (stream) => {
    streams.open += 1;
    stream.once("close", () => {
      streams.open -= 1;
    });
  });
  session.setTimeout(IDLE_SESSION_TIMEOUT_MS, () => {
    if (streams.open === 0) session.close();
  });
  return streams;
}
