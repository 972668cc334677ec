import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
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
  readonly log: Pick<Logger, "warn">;
}

export interface AdminServer {
  /** With the port that was taken. */
  readonly url: string;
  /** Answers what was asked, then ends every connection. Takes a second at most. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 1000;
const REQUEST_TIMEOUT_MS = 5000;
const IDLE_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 256;
const MAX_HEADER_BYTES = 8192;

const PATHS = ["/", "/livez", "/readyz", "/metrics"];

const INDEX = `m2m-gateway, admin port

/livez    200 while the process lives
/readyz   200 when the gateway can decide, 503 when it cannot
/metrics  metrics in the Prometheus text format
`;

/**
 * Serves /livez, /readyz and /metrics over HTTP/1.1.
 *
 * @throws Error the system's, when the address cannot be listened at
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => void answer(options, server, request, response),
  );
  // Ends connections that neither send nor read.
  server.timeout = IDLE_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options);
  server.on("error", (err) => options.log.warn({ err }, "admin port failed"));
  const host = isIPv6(options.host) ? `[${options.host}]` : options.host;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${host}:${port}`,
    close: () => {
      closing ??= closeServer(server);
      return closing;
    },
  };
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
  const { status, type, text, headers } = await pageFor(method, path, options);
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
}

async function pageFor(method: string, path: string, options: AdminServerOptions): Promise<Page> {
  if (!PATHS.includes(path)) return plain(404, "nothing here: there are /livez, /readyz and /metrics");
  if (method === "GET" || method === "HEAD") return await pageAt(path, options);
  return { ...plain(405, `${path} takes GET and HEAD only`), headers: { allow: "GET, HEAD" } };
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
