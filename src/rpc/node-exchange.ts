import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Stream } from "node:http2";
import type { Exchange } from "./exchange.ts";

/** An exchange over node:http. */
export function http1Exchange(request: IncomingMessage, response: ServerResponse): Exchange {
  return new NodeExchange(request, response, undefined);
}

/** An exchange over node:http2. */
export function http2Exchange(request: Http2ServerRequest, response: Http2ServerResponse): Exchange {
  return new NodeExchange(request, response, request.stream);
}

type NodeRequest = IncomingMessage | Http2ServerRequest;

/** What the responses of both have in common. Their own types cannot be called in one expression. */
interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): unknown;
  write(piece: Uint8Array): boolean;
  addTrailers(trailers: Record<string, string>): void;
  end(): unknown;
  destroy(): unknown;
  on(event: "drain" | "close", listener: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
  readonly destroyed: boolean;
}

class NodeExchange implements Exchange {
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  /** The messages lose it when it closes. */
  readonly #stream: ServerHttp2Stream | undefined;
  #body: BodyReader | undefined;
  /** The head of the answer until something follows it: node:http2 sends it at once, and so could not send it as all. */
  #head: { readonly status: number; readonly headers: Record<string, string> } | undefined;
  #isHeadAll = false;

  constructor(request: NodeRequest, response: NodeResponse, stream: ServerHttp2Stream | undefined) {
    this.#request = request;
    this.#response = response;
    this.#stream = stream;
  }

  get httpVersion(): string {
    return this.#request.httpVersion;
  }

  get method(): string {
    return this.#request.method ?? "";
  }

  get target(): string {
    return this.#request.url ?? "";
  }

  header(lowerCaseName: string): string | undefined {
    const value = this.#request.headers[lowerCaseName];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  headers(): Headers {
    const headers = new Headers();
    for (const [name, value] of Object.entries(this.#request.headers)) {
      if (value === undefined || name.startsWith(":")) continue;
      for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
    }
    return headers;
  }

  read(): Promise<Uint8Array | undefined> {
    this.#body ??= new BodyReader(this.#request, this.isClosed);
    return this.#body.read();
  }

  discardRest(limitMs: number, endless: boolean): void {
    const request = this.#request;
    if (request.complete || this.isClosed) return;
    const stream = this.#stream;
    const cut = () => {
      if (stream === undefined) request.socket.destroy();
      else stream.close(constants.NGHTTP2_NO_ERROR);
    };
    this.#body?.stop();
    request.resume();
    if (stream !== undefined && endless) {
      if (this.#isHeadAll) setImmediate(cut);
      else stream.once("wantTrailers", () => setImmediate(cut));
    }
    const timer = setTimeout(cut, limitMs);
    request.once("close", () => clearTimeout(timer));
    request.once("end", () => clearTimeout(timer));
  }

  writeHead(status: number, headers: Record<string, string>): void {
    this.#head = { status, headers };
  }

  async write(piece: Uint8Array): Promise<boolean> {
    const response = this.#response;
    this.#sendHead();
    const hasRoom = response.write(piece);
    if (!hasRoom && !this.isClosed) {
      await new Promise<void>((resolve) => {
        const settle = () => {
          response.off("drain", settle);
          response.off("close", settle);
          resolve();
        };
        response.on("drain", settle);
        response.on("close", settle);
      });
    }
    return !this.isClosed;
  }

  end(trailers?: Record<string, string>): void {
    const head = this.#head;
    if (head !== undefined && trailers === undefined && this.#stream !== undefined) {
      this.#isHeadAll = true;
      if (!this.isClosed) this.#stream.respond({ ":status": head.status, ...head.headers }, { endStream: true });
      return;
    }
    this.#sendHead();
    if (trailers !== undefined) this.#response.addTrailers(trailers);
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }

  onClose(listener: () => void): void {
    this.#response.once("close", listener);
  }

  whenOver(listener: () => void): void {
    if (this.isClosed) listener();
    else (this.#stream ?? this.#response).once("close", listener);
  }

  #sendHead(): void {
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) this.#response.writeHead(head.status, head.headers);
  }

  get isClosed(): boolean {
    return this.#stream === undefined ? this.#response.destroyed : this.#stream.destroyed;
  }
}

/**
 * Reads a request piece by piece. Node's own iterator destroys the request when it is left early, which cuts an HTTP/1.1
 * connection before it carries the answer, and takes the end of a reset HTTP/2 stream for the end of its body.
 */
class BodyReader {
  readonly #request: NodeRequest;
  readonly #look = () => this.#settle();
  #waiting: { resolve(piece: Uint8Array | undefined): void; reject(error: Error): void } | undefined;
  #gone: boolean;

  constructor(request: NodeRequest, isGone: boolean) {
    this.#request = request;
    this.#gone = isGone;
    const gone = () => {
      this.#gone = true;
      this.#settle();
    };
    request.on("readable", this.#look);
    request.once("end", this.#look);
    request.once("aborted", gone);
    request.once("close", gone);
    // The loss of the connection, which closing says as well; an error nobody listens to ends the process.
    request.on("error", gone);
  }

  read(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#settle();
    });
  }

  stop(): void {
    this.#request.off("readable", this.#look);
  }

  #settle(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const piece: Uint8Array | null = this.#request.read();
    if (piece === null && !this.#request.readableEnded && !this.#gone) return;
    this.#waiting = undefined;
    if (piece !== null) waiting.resolve(piece);
    else if (this.#request.readableEnded) waiting.resolve(undefined);
    else waiting.reject(new Error("the caller went away"));
  }
}
