import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import { isIPv6 } from "node:net";
import { isOwnName } from "../callers/own-name.ts";
import type { Logger } from "../logger.ts";
import { CONSOLE_HEADERS, CONSOLE_PAGE, type ConsoleFile, readConsoleFiles } from "./console-files.ts";
import { type ConsoleRpcs, refusalOf } from "./console-rpcs.ts";

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
  /** Serves over TLS, with what this gives now. Asked again once the port is open. */
  readonly tls?: (() => AdminTls | undefined) | undefined;
  /**
   * Whether a request must name the host by an address or as localhost. Where only this machine can reach the port, another
   * name is most likely that of a page whose owner made it lead here (DNS rebinding).
   */
  readonly demandsOwnName: boolean;
  /** Called for `POST /quit`; without it there is no such path. */
  readonly onQuit?: (() => void) | undefined;
  /** Everybody who can ask may end the gateway where this is not given. */
  readonly quitRefusal?: QuitRefusal | undefined;
  readonly consoleRpcs: ConsoleRpcs;
  readonly log: Pick<Logger, "warn">;
}

/** Why who asks may not end the gateway; `undefined` for who may. */
export type QuitRefusal = (request: IncomingMessage) => string | undefined;

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

const PATHS = ["/", "/console", "/livez", "/readyz", "/metrics"];
const QUIT = "/quit";
const CONSOLE_FOLDER = "/console/";

const INDEX = `m2m-gateway, admin port

/console  the console, for browsers
/livez    200 while the process lives
/readyz   200 when the gateway can decide, 503 when it cannot
/metrics  metrics in the Prometheus text format
/quit     POST ends the gateway as SIGTERM does, where it is allowed
`;

/**
 * Serves the console, /livez, /readyz and /metrics over HTTP/1.1.
 *
 * @throws Error the system's, when the address cannot be listened at
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const pages = new AdminPages(options, readConsoleFiles());
  const tls = options.tls?.();
  const server = create(tls, (request, response) => {
    const { method = "", url = "", headers } = request;
    const [path = ""] = url.split("?");
    const { host = "" } = headers;
    if (options.demandsOwnName && host !== "" && !isOwnName(host)) send(OF_ANOTHER_HOST, server, method, response);
    else if (options.consoleRpcs.has(path)) serveRpc(options.consoleRpcs, server, request, response);
    else if (path === QUIT && options.onQuit !== undefined) answerQuit(options, server, request, response);
    else void pages.pageFor(method, path, request.headers.accept).then((page) => send(page, server, method, response));
  });
  // Ends connections that neither send nor read.
  server.timeout = IDLE_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options);
  const useTls = (given: AdminTls) => {
    if (server instanceof TlsServer) server.setSecureContext(tlsOptions(given));
  };
  // What was replaced while the port was being opened was told to nobody.
  const tlsNow = options.tls?.();
  if (tlsNow !== undefined && tlsNow !== tls) useTls(tlsNow);
  server.on("error", (err) => options.log.warn({ err }, "admin port failed"));
  const host = isIPv6(options.host) ? `[${options.host}]` : options.host;
  let closing: Promise<void> | undefined;
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${port}`,
    useTls,
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

/** A stream is silent for as long as its heartbeats allow; who has vanished is found out by the system. */
function serveRpc(rpcs: ConsoleRpcs, server: Server, request: IncomingMessage, response: ServerResponse): void {
  const { method = "", headers, socket } = request;
  const fetchSite = headers["sec-fetch-site"];
  const refusal = refusalOf({
    method,
    remoteAddress: socket.remoteAddress,
    host: headers.host,
    origin: headers.origin,
    fetchSite: typeof fetchSite === "string" ? fetchSite : undefined,
  });
  if (refusal !== undefined) {
    const text = `${JSON.stringify({ code: "permission_denied", message: refusal })}\n`;
    send({ status: 403, type: "application/json", body: text }, server, method, response);
    return;
  }
  socket.setKeepAlive(true, IDLE_TIMEOUT_MS);
  socket.setTimeout(0);
  response.once("close", () => socket.setTimeout(IDLE_TIMEOUT_MS));
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  if (!server.listening) response.setHeader("connection", "close");
  rpcs.serve(request, response);
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
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

function answerQuit(
  { onQuit, quitRefusal }: AdminServerOptions,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const page = quitPage(request);
  const refusal = page.status === 200 ? quitRefusal?.(request) : undefined;
  send(refusal === undefined ? page : plain(403, refusal), server, request.method ?? "", response);
  if (page.status === 200 && refusal === undefined) onQuit?.();
}

function send({ status, type, body, headers }: Page, server: Server, method: string, response: ServerResponse): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
    // A connection that is kept would keep a closing server from its end.
    ...(server.listening ? {} : { connection: "close" }),
  });
  response.end(method === "HEAD" ? undefined : body);
}

/**
 * A browser names the page that a POST comes from; a page of another site must not be able to end a developer's gateway. Nor
 * must one whose name has been made to lead here: its requests come to a host by that name, not to this one.
 */
function quitPage({ method, headers }: IncomingMessage): Page {
  if (method !== "POST") return { ...plain(405, "/quit takes POST only"), headers: { allow: "POST" } };
  const { origin, host = "" } = headers;
  if (origin === undefined) return plain(200, "draining");
  const isOwn = URL.canParse(origin) && new URL(origin).host === host && isOwnName(host);
  return isOwn ? plain(200, "draining") : plain(403, "a page of another site may not ask for this");
}

const OF_ANOTHER_HOST = plain(403, "the Host is not localhost or an IP address");

/** What there is to read. */
class AdminPages {
  readonly #options: AdminServerOptions;
  readonly #files: ReadonlyMap<string, ConsoleFile>;

  constructor(options: AdminServerOptions, files: ReadonlyMap<string, ConsoleFile>) {
    this.#options = options;
    this.#files = files;
  }

  async pageFor(method: string, path: string, accept = ""): Promise<Page> {
    const file = path.startsWith(CONSOLE_FOLDER) ? this.#files.get(path.slice(CONSOLE_FOLDER.length)) : undefined;
    if (file === undefined && !PATHS.includes(path)) {
      return plain(404, "nothing here: there are /console, /livez, /readyz and /metrics");
    }
    if (method !== "GET" && method !== "HEAD") {
      return { ...plain(405, `${path} takes GET and HEAD only`), headers: { allow: "GET, HEAD" } };
    }
    return file === undefined ? await this.#pageAt(path, accept) : consolePage(file);
  }

  async #pageAt(path: string, accept: string): Promise<Page> {
    const { metrics, contentType, ready, log } = this.#options;
    try {
      switch (path) {
        case "/livez":
          return plain(200, "ok");
        case "/readyz":
          return readyPage(ready());
        case "/metrics":
          return { status: 200, type: contentType, body: await metrics() };
        case "/console":
          return this.#console();
        default:
          return accept.includes("text/html") ? this.#console() : plain(200, INDEX);
      }
    } catch (error) {
      log.warn({ err: error, path }, "admin request failed");
      return plain(500, "it could not be told: the log says why");
    }
  }

  #console(): Page {
    const page = this.#files.get(CONSOLE_PAGE);
    return page === undefined ? plain(404, "the console was not built: npm run build builds it") : consolePage(page);
  }
}

function consolePage({ type, bytes }: ConsoleFile): Page {
  return { status: 200, type, body: bytes, headers: CONSOLE_HEADERS };
}

function readyPage({ ready, detail }: Readiness): Page {
  const body = `${JSON.stringify({ ready, detail })}\n`;
  return { status: ready ? 200 : 503, type: "application/json", body };
}

function plain(status: number, text: string): Page {
  return { status, type: "text/plain; charset=utf-8", body: text.endsWith("\n") ? text : `${text}\n` };
}
