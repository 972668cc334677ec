import http2 from "node:http2";
import { TLSSocket } from "node:tls";
import type { Peer, PeerOf } from "../callers/peer.ts";
import type { OverloadLimits } from "./admission.ts";
import type { Http2Transport } from "./http2-transport.ts";
import { http2Exchange } from "./node-exchange.ts";
import type { RequestListener } from "./request-listener.ts";
import { HTTP2_OPTIONS, IDLE_SESSION_TIMEOUT_MS, SETTINGS_TIMEOUT_MS } from "./transport-limits.ts";

/** What each connection may have open however many others have. */
const FAIR_SHARE = 16;

/** HTTP/2 by Node's own implementation. */
export function createNodeHttp2(listener: RequestListener, peerOf: PeerOf, limits: OverloadLimits): Http2Transport {
  const settings = { ...HTTP2_OPTIONS.settings, maxConcurrentStreams: limits.maxStreamsPerConnection };
  const sessions = new Map<http2.Http2Session, OpenStreams>();
  const total = { open: 0, refused: 0 };
  const server = http2.createServer({ ...HTTP2_OPTIONS, settings }, (request, response) => {
    const { stream } = request;
    const session = stream.session && sessions.get(stream.session);
    // A request that has lost its session has nobody to answer.
    if (session?.peer === undefined) return;
    if (total.open <= limits.maxStreams || session.open <= FAIR_SHARE) {
      listener.handle(http2Exchange(request, response, session.peer));
      return;
    }
    total.refused += 1;
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  });
  let accepting: Peer | undefined;
  server.on("session", (session) => {
    // The server makes a session of a socket while it is told of it. The session's own socket is a stand-in.
    sessions.set(session, closeWhenIdle(session, total, accepting));
    session.once("close", () => sessions.delete(session));
  });
  return {
    accept(socket) {
      // Node's server refuses a TLS connection that named no protocol; this one has shown the preface instead.
      if (socket instanceof TLSSocket && socket.alpnProtocol === false) socket.alpnProtocol = "h2";
      // HTTP/1.1 servers leave connections open after the client's last word; sessions do not look for it.
      socket.once("end", () => socket.destroy());
      accepting = peerOf(socket);
      server.emit("connection", socket);
      accepting = undefined;
    },
    drain() {
      for (const session of sessions.keys()) session.close();
    },
    get streamCount() {
      return total.open;
    },
    get refusedStreamCount() {
      return total.refused;
    },
  };
}

interface OpenStreams {
  open: number;
  readonly peer?: Peer | undefined;
}

/** Also a session whose client never gets beyond the preface. Returns how many streams it has open. */
function closeWhenIdle(session: http2.ServerHttp2Session, total: OpenStreams, peer: Peer | undefined): OpenStreams {
  const streams = { open: 0, peer };
  const settings = setTimeout(() => session.destroy(), SETTINGS_TIMEOUT_MS);
  session.once("remoteSettings", () => clearTimeout(settings));
  session.once("close", () => clearTimeout(settings));
  session.on("stream", (stream) => {
    streams.open += 1;
    total.open += 1;
    stream.once("close", () => {
      streams.open -= 1;
      total.open -= 1;
    });
  });
  session.setTimeout(IDLE_SESSION_TIMEOUT_MS, () => {
    if (streams.open === 0) session.close();
  });
  return streams;
}
