import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { createRegistry } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { createPeers, type PeerOf } from "../callers/peer.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { AccessControl } from "./access-control.ts";
import type { Admission } from "./admission.ts";
import type { OnAudit } from "./audit.ts";
import { createAuditInterceptor } from "./audit-interceptor.ts";
import { type ObserveCall, observeEnds } from "./call-observer.ts";
import { CallQueue } from "./call-queue.ts";
import { connectErrorFrom, type PresentError } from "./connect-error.ts";
import { deadlineInterceptor } from "./deadline-interceptor.ts";
import type { DirectRpc } from "./direct-rpc.ts";
import { createEngineHttp2, type Lanes } from "./engine-http2.ts";
import { createErrorInterceptor } from "./error-interceptor.ts";
import { takeTurnsAtHandshakes } from "./handshake-turns.ts";
import { Http1Pipelines } from "./http1-pipelines.ts";
import type { Http2Transport } from "./http2-transport.ts";
import { type ListenAddress, listen, portOf, urlOf } from "./listen.ts";
import { splitByProtocol } from "./listener.ts";
import { http1Exchange } from "./node-exchange.ts";
import { createNodeHttp2 } from "./node-http2.ts";
import type { OwnKeys } from "./own-key.ts";
import { createRequestListener, type RequestListener } from "./request-listener.ts";
import { type TlsIdentity, tlsOptionsOf } from "./tls-identity.ts";
import { BODY_TIMEOUT_MS, HTTP1_OPTIONS, PREFACE_TIMEOUT_MS } from "./transport-limits.ts";

/** Who speaks HTTP/2. HTTP/1.1 is always Node's. */
export type TransportName = "engine" | "node";

/** What calls are served by, whatever port they come to. */
export interface RpcListenerOptions {
  /** Who may call what. Without it everybody may call everything. */
  readonly access?: AccessControl | undefined;
  /** For callers who bring a key of the upstream's. Without it none is taken. */
  readonly ownKeys?: OwnKeys | undefined;
  /** Decides what is not taken on. */
  readonly admission: Admission;
  /** Where calls wait for their turn, those of lanes too that have some. Without it calls past the lanes have one of their own. */
  readonly queue?: CallQueue | undefined;
  readonly routes: (router: ConnectRouter) => void;
  /** What serves some RPCs without the interceptors and the routes, where a call is nothing out of the ordinary. */
  readonly directs?: readonly DirectRpc[] | undefined;
  /** Run around every call, the first outermost, inside the mapping of errors and the enforcing of deadlines. */
  readonly interceptors: readonly Interceptor[];
  /** The largest message in either direction, in bytes, after decompression. */
  readonly maxMessageBytes: number;
  /** Called once for each call, at its beginning. Without it nobody is told of calls. Must not throw. */
  readonly observe?: ObserveCall | undefined;
  /** Called once for each call of an audited RPC, refused ones included. Must not throw. */
  readonly onAudit?: OnAudit | undefined;
  /**
   * What callers are shown of an error; `connectErrorFrom` unless something else is given, for services that are not the
   * gateway's own. Must return the errors as they are that it has made itself, also those that come without their cause.
   */
  readonly presentError?: PresentError | undefined;
}

export interface RpcServerOptions extends RpcListenerOptions {
  readonly listen: ListenAddress;
  /** Without it connections are in clear text. */
  readonly tls?: TlsIdentity | undefined;
  readonly transport: TransportName;
  /** Calls that the engine answers at once where it can. The other transport has no use for them. */
  readonly lanes?: Lanes | undefined;
  /** A connection was closed because of a mistake in the engine. */
  readonly onEngineError: (error: unknown) => void;
}

export interface RpcServerCounts {
  /** Of either HTTP. */
  readonly connections: number;
  /** Requests under way over HTTP/2. */
  readonly streams: number;
  /** So far, because too many were open. */
  readonly refusedStreams: number;
}

export interface RpcServer {
  /** `http://host:port`, `https://host:port` or `unix:path`. */
  readonly url: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** New connections are shown this, those there are stay. @throws Error of node:tls when it cannot be used */
  useTls(tls: TlsIdentity): void;
  /** What is open now. */
  counts(): RpcServerCounts;
  /**
   * Stops accepting, tells streams to end (see `drainOf`), lets unary calls finish, and after `graceMs` cuts what is
   * left. Resolves when every connection is closed. Later calls return the first one's promise.
   */
  drain(graceMs: number): Promise<void>;
}

/**
 * Serves RPCs on one address that speaks gRPC, gRPC-Web and Connect over HTTP/1.1 and over HTTP/2, chosen by prior
 * knowledge or, with TLS, by ALPN. No CORS: browsers on other origins are not meant to hold tokens.
 *
 * @param listener what serves the calls, where another port has it too; it drains with this server
 * @throws Error of node:net when the address cannot be listened on; of node:tls when the identity cannot be used
 */
export async function startRpcServer(
  options: RpcServerOptions,
  listener: RequestListener = createRpcListener(options),
): Promise<RpcServer> {
  const peerOf = options.access?.peerOf ?? createPeers(false);
  const pipelines = new Http1Pipelines();
  const h1 = createHttp1Server(listener, peerOf, pipelines, options.tls);
  const h2 = createHttp2(options, listener, peerOf);
  const accept = (socket: Socket) => h2.accept(socket);
  const undecided = splitByProtocol(h1, accept, (socket) => pipelines.pace(socket), PREFACE_TIMEOUT_MS);
  const sockets = admitConnections(h1, options.admission);
  closeIdleWhenDraining(h1);
  await listen(h1, options.listen);

  const drain = async (graceMs: number) => {
    const closed = new Promise<void>((resolve) => {
      h1.close(() => resolve());
    });
    listener.drain();
    for (const socket of undecided) socket.destroy();
    h2.drain();
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  };
  let drained: Promise<void> | undefined;
  return {
    port: portOf(h1),
    url: urlOf(h1, options.listen, options.tls === undefined ? "http" : "https"),
    useTls(tls) {
      if (h1 instanceof https.Server) h1.setSecureContext(tlsOptionsOf(tls));
    },
    counts: () => ({ connections: sockets.size, streams: h2.streamCount, refusedStreams: h2.refusedStreamCount }),
    drain(graceMs) {
      drained ??= drain(graceMs);
      return drained;
    },
  };
}

const UNOBSERVED = observeEnds(() => undefined);

export function createRpcListener(options: RpcListenerOptions): RequestListener {
  const presentError = options.presentError ?? connectErrorFrom;
  return createRequestListener({
    handlers: handlersOf(options, presentError),
    directs: options.directs ?? [],
    maxMessageBytes: options.maxMessageBytes,
    guard: options.access?.guard,
    ownKeys: options.ownKeys,
    onAudit: options.onAudit,
    observe: options.observe ?? UNOBSERVED,
    presentError,
    bodyTimeoutMs: BODY_TIMEOUT_MS,
    admission: options.admission,
    queue: options.queue ?? new CallQueue(),
  });
}

const NO_LANES: Lanes = { unary: [], streams: [] };

function createHttp2(options: RpcServerOptions, listener: RequestListener, peerOf: PeerOf): Http2Transport {
  const { transport, lanes, onEngineError, admission } = options;
  return transport === "node"
    ? createNodeHttp2(listener, peerOf, admission.limits)
    : createEngineHttp2(listener, peerOf, lanes ?? NO_LANES, onEngineError, admission.limits);
}

function createHttp1Server(
  listener: RequestListener,
  peerOf: PeerOf,
  pipelines: Http1Pipelines,
  tls: TlsIdentity | undefined,
): http.Server | https.Server {
  const serve = pipelines.limit((request, response) => {
    listener.handle(http1Exchange(request, response, peerOf(request.socket)));
  });
  if (tls === undefined) return http.createServer(HTTP1_OPTIONS, serve);
  const server = https.createServer({ ...HTTP1_OPTIONS, ...tlsOptionsOf(tls) }, serve);
  takeTurnsAtHandshakes(server, PREFACE_TIMEOUT_MS);
  return server;
}

function handlersOf(options: RpcListenerOptions, presentError: PresentError): readonly UniversalHandler[] {
  const router = createConnectRouter({
    interceptors: [
      createErrorInterceptor(presentError),
      deadlineInterceptor,
      ...options.interceptors,
      createAuditInterceptor(presentError),
    ],
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

/**
 * Closes connections beyond the bound before anything is done for them, a TLS handshake least of all. The server's own
 * bound is no use: a worker that has reached it hands connections back and forth with the others.
 *
 * @returns the open connections
 */
function admitConnections(server: http.Server | https.Server, admission: Admission): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const serve = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    if (sockets.size >= admission.limits.maxConnections) {
      admission.refuse("connections");
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    for (const listener of serve) listener.call(server, socket);
  });
  return sockets;
}

/** `close` closes the HTTP/1.1 connections that are idle then; those busy then are closed when they have their answer. */
function closeIdleWhenDraining(server: http.Server | https.Server): void {
  server.on("request", (_request, response: http.ServerResponse) => {
    response.once("close", () => {
      if (!server.listening) server.closeIdleConnections();
    });
  });
}
