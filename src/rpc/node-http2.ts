import http2 from "node:http2";
import { TLSSocket } from "node:tls";
import type { OverloadLimits } from "./admission.ts";
import type { Http2Transport } from "./http2-transport.ts";
import { http2Exchange } from "./node-exchange.ts";
import type { RequestListener } from "./request-listener.ts";
import { HTTP2_OPTIONS, IDLE_SESSION_TIMEOUT_MS, SETTINGS_TIMEOUT_MS } from "./transport-limits.ts";

/** What each connection may have open however many others have. */
const FAIR_SHARE = 16;

/** HTTP/2 by Node's own implementation. */
export function createNodeHttp2(listener: RequestListener, limits: OverloadLimits): Http2Transport {
  const settings = { ...HTTP2_OPTIONS.settings, maxConcurrentStreams: limits.maxStreamsPerConnection };
  const sessions = new Map<http2.Http2Session, OpenStreams>();
  const total = { open: 0, refused: 0 };
  const server = http2.createServer({ ...HTTP2_OPTIONS, settings }, (request, response) => {
    const { stream } = request;
    const open = (stream.session && sessions.get(stream.session)?.open) ?? 0;
    if (total.open <= limits.maxStreams || open <= FAIR_SHARE) {
      listener.handle(http2Exchange(request, response));
      return;
    }
    total.refused += 1;
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  });
  server.on("session", (session) => {
    sessions.set(session, closeWhenIdle(session, total));
    session.once("close", () => sessions.delete(session));
  });
  return {
    accept(socket) {
      // Node's server refuses a TLS connection that named no protocol; this one has shown the preface instead.
      if (socket instanceof TLSSocket && socket.alpnProtocol === false) socket.alpnProtocol = "h2";
      server.emit("connection", socket);
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
}

/** Also a session whose client never gets beyond the preface. Returns how many streams it has open. */
function closeWhenIdle(session: http2.ServerHttp2Session, total: OpenStreams): OpenStreams {
  const streams = { open: 0 };
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
