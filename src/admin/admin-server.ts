import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import { isIP, isIPv6 } from "node:net";
import type { Logger } from "../logger.ts";

export interface Readiness {
  /** Whether the gateway can decide, and wants calls. */
  readonly ready: boolean;
  /** Why, for people and scripts. Shown to anyone who asks. */
  readonly detail: Readonly<Record<string, string | number | boolean>>;
}

interface AdminServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The metrics as text, of this media type. */
  readonly metrics: () => Promise<string>;
  readonly contentType: string;
  readonly ready: () => Readiness;
  /** Serves over TLS. */
  readonly tls?: AdminTls | undefined;
  /** Called for `POST /quit`; without it there is no such path. */
  readonly onQuit?: (() => void) | undefined;
  readonly log: Pick<Logger, "warn">;
}

/** PEM: the certificate with its chain, and its key. */
export interface AdminTls {
  readonly cert: string;
  readonly key: string;
}

export interface AdminServer {
  /** With the port that was taken. */
  readonly url: string;
  /** New connections are shown this. Does nothing without TLS. @throws Error of node:tls when it cannot be used */
  useTls(tls: AdminTls): void;
  /** Answers what was asked, then ends every connection. Takes a second at most. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 1000;
const REQUEST_TIMEOUT_MS = 5000;
const IDLE_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 256;
const MAX_HEADER_BYTES = 8192;

const PATHS = ["/", "/livez", "/readyz", "/metrics"];
const QUIT = "/quit";

const INDEX = `m2m-gateway, admin port

/livez    200 while the process lives
/readyz   200 when the gateway can decide, 503 when it cannot
/metrics  metrics in the Prometheus text format
/quit     POST ends the gateway as SIGTERM does, where it is allowed
`;

/**
 * Serves /livez, /readyz and /metrics over HTTP/1.1.
 *
 * @throws Error the system's, when the address cannot be listened at
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = create(options.tls, (request, response) => void answer(options, server, request, response));
  // Ends connections that neither send nor read.
  server.timeout = IDLE_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options);
  server.on("error", (err) => options.log.warn({ err }, "admin port failed"));
  const host = isIPv6(options.host) ? `[${options.host}]` : options.host;
  let closing: Promise<void> | undefined;
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${host}:${port}`,
    useTls(tls) {
      if (server instanceof TlsServer) server.setSecureContext(tlsOptions(tls));
    },
    close: () => {
      closing ??= closeServer(server);
      return closing;
    },
  };
}

function create(tls: AdminTls | undefined, listener: RequestListener): Server {
  const limits = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  if (tls === undefined) return createServer(limits, listener);
  return createTlsServer({ ...limits, ...tlsOptions(tls), handshakeTimeout: REQUEST_TIMEOUT_MS }, listener);
}

function tlsOptions({ cert, key }: AdminTls) {
  return { cert, key, minVersion: "TLSv1.2" as const };
}

function listen(server: Server, { host, port }: AdminServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const force = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(force);
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function answer(
  options: AdminServerOptions,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "", url = "" } = request;
  const [path = ""] = url.split("?");
  const { onQuit } = options;
  const page = path === QUIT && onQuit !== undefined ? quitPage(request) : await pageFor(method, path, options);
  const { status, type, text, headers } = page;
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
    // A connection that is kept would keep a closing server from its end.
    ...(server.listening ? {} : { connection: "close" }),
  });
  response.end(method === "HEAD" ? undefined : text);
  if (path === QUIT && status === 200) onQuit?.();
}

async function pageFor(method: string, path: string, options: AdminServerOptions): Promise<Page> {
  if (!PATHS.includes(path)) return plain(404, "nothing here: there are /livez, /readyz and /metrics");
  if (method === "GET" || method === "HEAD") return await pageAt(path, options);
  return { ...plain(405, `${path} takes GET and HEAD only`), headers: { allow: "GET, HEAD" } };
}

/**
 * A browser names the page that a POST comes from; a page of another site must not be able to end a developer's gateway. Nor
 * must one whose name has been made to lead here: its requests come to a host by that name, not to this one.
 */
function quitPage({ method, headers }: IncomingMessage): Page {
  if (method !== "POST") return { ...plain(405, "/quit takes POST only"), headers: { allow: "POST" } };
  const { origin, host = "" } = headers;
  if (origin === undefined) return plain(200, "draining");
  const isOwn = URL.canParse(origin) && new URL(origin).host === host && isAddress(host);
  return isOwn ? plain(200, "draining") : plain(403, "a page of another site may not ask for this");
}

/** Whether a host is named by an address, or is this machine by name: no other name can be trusted to mean this server. */
function isAddress(host: string): boolean {
  const name = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return isIP(name) !== 0 || name.toLowerCase() === "localhost";
}

async function pageAt(path: string, { metrics, contentType, ready, log }: AdminServerOptions): Promise<Page> {
  try {
    switch (path) {
      case "/livez":
        return plain(200, "ok");
      case "/readyz":
        return readyPage(ready());
      case "/metrics":
        return { status: 200, type: contentType, text: await metrics() };
      default:
        return plain(200, INDEX);
    }
  } catch (error) {
    log.warn({ err: error, path }, "admin request failed");
    return plain(500, "it could not be told: the log says why");
  }
}

function readyPage({ ready, detail }: Readiness): Page {
  const text = `${JSON.stringify({ ready, detail })}\n`;
  return { status: ready ? 200 : 503, type: "application/json", text };
}

function plain(status: number, text: string): Page {
  return { status, type: "text/plain; charset=utf-8", text: text.endsWith("\n") ? text : `${text}\n` };
}
