import { encodeFields } from "../http2/hpack-encoder.ts";
import { ErrorCode } from "../http2/protocol-error.ts";
import { fieldOf } from "../http2/request-head.ts";
import type { ServerStream, StreamConsumer } from "../http2/server-stream.ts";
import type { Exchange } from "./exchange.ts";

const SMALL_BYTES = 1024;

/** An exchange over a stream of the engine. */
export class EngineExchange implements Exchange, StreamConsumer {
  readonly httpVersion = "2.0";
  readonly #stream: ServerStream;
  /** What has come and has not been read. */
  readonly #pieces: Buffer[] = [];
  #reader: { resolve(piece: Uint8Array | undefined): void; reject(error: Error): void } | undefined;
  readonly #writers: ((isRead: boolean) => void)[] = [];
  readonly #closeListeners: (() => void)[] = [];
  readonly #overListeners: (() => void)[] = [];
  /** The head of the answer until something follows it. */
  #head: Uint8Array | undefined;
  #isDiscarding = false;
  #discardTimer: NodeJS.Timeout | undefined;

  constructor(stream: ServerStream) {
    this.#stream = stream;
    stream.consumer = this;
  }

  get method(): string {
    return this.#stream.head.method;
  }

  get target(): string {
    return this.#stream.head.path;
  }

  get isClosed(): boolean {
    return this.#stream.isClosed;
  }

  header(lowerCaseName: string): string | undefined {
    return fieldOf(this.#stream.head, lowerCaseName);
  }

  headers(): Headers {
    const headers = new Headers();
    for (const { name, value } of this.#stream.head.fields) headers.append(name, value);
    return headers;
  }

  read(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#settleReader();
    });
  }

  discardRest(limitMs: number, endless: boolean): void {
    const stream = this.#stream;
    if (stream.remoteEnded || stream.isClosed) return;
    this.#isDiscarding = true;
    for (const piece of this.#pieces.splice(0)) stream.consumed(piece.length);
    if (endless) stream.discardRest();
    else this.#discardTimer = setTimeout(() => stream.discardRest(), limitMs);
  }

  writeHead(status: number, headers: Record<string, string>): void {
    this.#head = encodeFields([[":status", String(status)], ...Object.entries(headers)]);
  }

  write(piece: Uint8Array): Promise<boolean> {
    this.#sendHead(false);
    if (this.#stream.write(piece) || this.isClosed) return Promise.resolve(!this.isClosed);
    return new Promise((resolve) => this.#writers.push(resolve));
  }

  end(trailers?: Record<string, string>): void {
    this.#sendHead(trailers === undefined);
    this.#stream.end(trailers === undefined ? undefined : encodeFields(Object.entries(trailers)));
  }

  destroy(): void {
    this.#stream.reset(ErrorCode.INTERNAL_ERROR);
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  whenOver(listener: () => void): void {
    if (this.isClosed) listener();
    else this.#overListeners.push(listener);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#isDiscarding) {
      this.#stream.consumed(end - start);
      return;
    }
    this.#keep(bytes.subarray(start, end));
    this.#settleReader();
  }

  onEnd(): void {
    this.#settleReader();
  }

  onWritable(): void {
    this.#settleWriters();
  }

  onOver(): void {
    clearTimeout(this.#discardTimer);
    this.#settleReader();
    this.#settleWriters();
    const listeners = this.#closeListeners.splice(0);
    if (!this.#stream.localEnded) for (const listener of listeners) listener();
    for (const listener of this.#overListeners.splice(0)) listener();
  }

  /** Small pieces are joined: each would cost many times its bytes. */
  #keep(piece: Buffer): void {
    const last = this.#pieces.length - 1;
    const previous = this.#pieces[last];
    if (previous === undefined || previous.length >= SMALL_BYTES) this.#pieces.push(Buffer.from(piece));
    else this.#pieces[last] = Buffer.concat([previous, piece]);
  }

  /** @param isAll whether nothing follows it */
  #sendHead(isAll: boolean): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    this.#stream.respond(head, isAll);
  }

  #settleReader(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const stream = this.#stream;
    const piece = this.#pieces.shift();
    if (piece === undefined && !stream.remoteEnded && !stream.isClosed) return;
    this.#reader = undefined;
    if (piece !== undefined) {
      stream.consumed(piece.length);
      reader.resolve(piece);
    } else if (stream.remoteEnded) reader.resolve(undefined);
    else reader.reject(new Error("the caller went away"));
  }

  #settleWriters(): void {
    for (const resolve of this.#writers.splice(0)) resolve(!this.isClosed);
  }
}
