import type { ServerOptions as Http1Options } from "node:http";
import type { ServerOptions as Http2Options } from "node:http2";
import type { TlsOptions } from "node:tls";

/** From a connection's first byte, or from its opening if it sends none, to knowing which HTTP it speaks. */
export const PREFACE_TIMEOUT_MS = 10_000;

/** From the HTTP/2 preface to the client's SETTINGS, which follow it at once unless the client is broken or hostile. */
export const SETTINGS_TIMEOUT_MS = 10_000;

/** A call with one request message needs no longer to send it, even one of the largest size on a slow link. */
export const BODY_TIMEOUT_MS = 60_000;

/** gRPC clients keep connections for reuse and reconnect unasked; one without a call for this long is closed. */
export const IDLE_SESSION_TIMEOUT_MS = 10 * 60_000;

/** Metadata of a call: gRPC's own servers allow 8 KiB; twice that leaves room for tracing headers and a bearer JWT. */
const MAX_HEADER_BYTES = 16 * 1024;

export const HTTP1_OPTIONS: Http1Options = {
  maxHeaderSize: MAX_HEADER_BYTES,
  // Slow headers hold a socket and nothing else.
  headersTimeout: 10_000,
  // Covers the request alone, headers and body. An answer, and so a stream, may take as long as it likes.
  requestTimeout: BODY_TIMEOUT_MS,
  // Longer than the pools of common clients and proxies keep a connection, so that they close it and not we.
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
  noDelay: true,
  // Finds peers that vanished while a quiet stream was open.
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
};

export const TLS_OPTIONS: TlsOptions = {
  ALPNProtocols: ["h2", "http/1.1"],
  minVersion: "TLSv1.2",
  handshakeTimeout: 10_000,
};

/** Each setting of `node:http2`'s own; the bound of streams is the configuration's. */
export const HTTP2_OPTIONS = {
  // In megabytes, for one connection. A thousand streams with full write buffers (16 KiB each) fit.
  maxSessionMemory: 32,
  // A conforming client sends none; enough for the frames in flight of streams that were just closed.
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxOutstandingPings: 10,
  settings: {
    maxHeaderListSize: MAX_HEADER_BYTES,
    enablePush: false,
  },
} satisfies Http2Options;
