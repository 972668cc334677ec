import http2 from "node:http2";
import { TLSSocket } from "node:tls";
import type { Http2Transport } from "./http2-transport.ts";
import { http2Exchange } from "./node-exchange.ts";
import type { RequestListener } from "./request-listener.ts";
import { HTTP2_OPTIONS, IDLE_SESSION_TIMEOUT_MS, SETTINGS_TIMEOUT_MS } from "./transport-limits.ts";

/** HTTP/2 by Node's own implementation. */
export function createNodeHttp2(listener: RequestListener): Http2Transport {
  const server = http2.createServer(HTTP2_OPTIONS, (request, response) =>
    listener.handle(http2Exchange(request, response)),
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    closeWhenIdle(session);
  });
  return {
    accept(socket) {
      // Node's server refuses a TLS connection that named no protocol; this one has shown the preface instead.
      if (socket instanceof TLSSocket && socket.alpnProtocol === false) socket.alpnProtocol = "h2";
      server.emit("connection", socket);
    },
    drain() {
      for (const session of sessions) session.close();
    },
  };
}

/** Also a session whose client never gets beyond the preface. */
function closeWhenIdle(session: http2.ServerHttp2Session): void {
  let openStreams = 0;
  const settings = setTimeout(() => session.destroy(), SETTINGS_TIMEOUT_MS);
  session.once("remoteSettings", () => clearTimeout(settings));
  session.once("close", () => clearTimeout(settings));
  session.on("stream", (stream) => {
    openStreams += 1;
    stream.once("close", () => {
      openStreams -= 1;
    });
  });
  session.setTimeout(IDLE_SESSION_TIMEOUT_MS, () => {
    if (openStreams === 0) session.close();
  });
}
