import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly socket: Socket;
}

export type Reply = (response: ServerResponse, request: SeenRequest) => void;

/** An HTTP server on loopback that answers as a test tells it and remembers what it was asked. */
export class ScriptedServer {
  readonly seen: SeenRequest[] = [];
  /** What requests beyond the script get. */
  fallback: Reply = json(500, {});
  /** Requests whose client went away before they were answered. */
  abandoned = 0;
  readonly #script: Reply[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#receive(request, response));
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (address === null || typeof address === "string") {
      throw new Error("the server has no port");
    }
    return `http://127.0.0.1:${address.port}`;
  }

  /** Answers the next requests with these, one each. */
  script(...replies: readonly Reply[]): void {
    this.#script.push(...replies);
  }

  closeIdleConnections(): void {
    this.#server.closeIdleConnections();
  }

  async close(): Promise<void> {
    if (!this.#server.listening) {
      return;
    }
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    response.on("close", () => {
      this.abandoned += response.writableFinished ? 0 : 1;
    });
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const seen = {
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8"),
        socket: request.socket,
      };
      this.seen.push(seen);
      (this.#script.shift() ?? this.fallback)(response, seen);
    });
  }
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return text(status, JSON.stringify(body), { "content-type": "application/json", ...headers });
}

export function text(status: number, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Reply {
  return (response) => response.writeHead(status, headers).end(body);
}

/** An error in the upstream's shape. */
export function problem(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return json(status, { errors: [{ message: code, long_message: code, code }] }, headers);
}

/** Ends the connection without a word. */
export const reset: Reply = (_response, request) => request.socket.resetAndDestroy();

/** Leaves the request unanswered. */
export const silence: Reply = () => undefined;

/** Sends the head and part of the body, then breaks the connection off. */
export function truncated(status: number, body: string): Reply {
  return (response, request) => {
    response.writeHead(status, { "content-length": String(body.length + 10) });
    response.write(body, () => request.socket.destroy());
  };
}
