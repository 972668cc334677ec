import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createRegistry } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { OnCall } from "./call-report.ts";
import { deadlineInterceptor } from "./deadline-interceptor.ts";
import { errorInterceptor } from "./error-interceptor.ts";
import { splitByPreface } from "./listener.ts";
import { createRequestListener } from "./request-listener.ts";
import {
  BODY_TIMEOUT_MS,
  HTTP1_OPTIONS,
  HTTP2_OPTIONS,
  IDLE_SESSION_TIMEOUT_MS,
  PREFACE_TIMEOUT_MS,
  SETTINGS_TIMEOUT_MS,
} from "./transport-limits.ts";

export interface RpcServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly routes: (router: ConnectRouter) => void;
  /** Run around every call, the first outermost, inside the mapping of errors and the enforcing of deadlines. */
  readonly interceptors: readonly Interceptor[];
  /** The largest message in either direction, in bytes, after decompression. */
  readonly maxMessageBytes: number;
  /** Called once for each call, at its end. Must not throw. */
  readonly onCall: OnCall;
}

export interface RpcServer {
  readonly url: string;
  readonly port: number;
  /**
   * Stops accepting, tells streams to end (see `drainOf`), lets unary calls finish, and after `graceMs` cuts what is
   * left. Resolves when every connection is closed. Later calls return the first one's promise.
   */
  drain(graceMs: number): Promise<void>;
}

/**
 * Serves RPCs on one cleartext port that speaks gRPC, gRPC-Web and Connect over HTTP/1.1 and over HTTP/2 with prior
 * knowledge. No CORS: browsers on other origins are not meant to hold tokens.
 *
 * @throws Error of node:net when the address cannot be listened on
 */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const listener = createRequestListener({
    handlers: handlersOf(options),
    onCall: options.onCall,
    bodyTimeoutMs: BODY_TIMEOUT_MS,
  });
  const h1 = http.createServer(HTTP1_OPTIONS, listener.handle);
  const h2 = http2.createServer(HTTP2_OPTIONS, listener.handle);
  const undecided = splitByPreface(h1, h2, PREFACE_TIMEOUT_MS);
  const sockets = trackSockets(h1);
  const sessions = trackSessions(h2);
  closeIdleWhenDraining(h1);
  await listen(h1, options);

  const { port } = h1.address() as AddressInfo;
  const drain = async (graceMs: number) => {
    const closed = new Promise<void>((resolve) => {
      h1.close(() => resolve());
    });
    listener.drain();
    for (const socket of undecided) socket.destroy();
    for (const session of sessions) session.close();
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  };
  let drained: Promise<void> | undefined;
  return {
    port,
    url: `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`,
    drain(graceMs) {
      drained ??= drain(graceMs);
      return drained;
    },
  };
}

function handlersOf(options: RpcServerOptions): readonly UniversalHandler[] {
  const router = createConnectRouter({
    interceptors: [errorInterceptor, deadlineInterceptor, ...options.interceptors],
    readMaxBytes: options.maxMessageBytes,
    writeMaxBytes: options.maxMessageBytes,
    acceptCompression: [compressionGzip],
    // Requests may be compressed, answers never are: it would cost more than it saves on the short way to a sidecar, and
    // compressing secrets together with text a caller chose tells of the secrets.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    // The details of an error inside an answer have a JSON form only if their types are known.
    jsonOptions: { registry: createRegistry(ErrorInfoSchema, RetryInfoSchema, BadRequestSchema) },
  });
  options.routes(router);
  return router.handlers;
}

function trackSockets(server: http.Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

function trackSessions(server: http2.Http2Server): ReadonlySet<http2.ServerHttp2Session> {
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    let openStreams = 0;
    const settings = setTimeout(() => session.destroy(), SETTINGS_TIMEOUT_MS);
    session.once("remoteSettings", () => clearTimeout(settings));
    session.on("stream", (stream) => {
      openStreams += 1;
      stream.once("close", () => {
        openStreams -= 1;
      });
    });
    session.setTimeout(IDLE_SESSION_TIMEOUT_MS, () => {
      if (openStreams === 0) session.close();
    });
    session.once("close", () => {
      clearTimeout(settings);
      sessions.delete(session);
    });
  });
  return sessions;
}

function listen(server: http.Server, { host, port }: RpcServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** `close` closes the HTTP/1.1 connections that are idle then; those busy then are closed when they have their answer. */
function closeIdleWhenDraining(server: http.Server): void {
  server.on("request", (_request, response: http.ServerResponse) => {
    response.once("close", () => {
      if (!server.listening) server.closeIdleConnections();
    });
  });
}
