import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { encodeFields } from "../http2/hpack-encoder.ts";
import type { ServerStream, StreamConsumer } from "../http2/server-stream.ts";
import { canceled, type GatewayError } from "../token/errors.ts";
import type { Watch, WatchEvent } from "../token/watch.ts";
import type { CallReporter } from "./call-report.ts";
import { connectErrorFrom } from "./connect-error.ts";
import type { StreamEntry } from "./stream-entry.ts";

/** What a watcher needs of its lane. */
export interface WatcherHost {
  encode(event: WatchEvent): Uint8Array;
  /** Has the watcher pump behind those that are due. */
  serveInTurn(watcher: Watcher): void;
  /** It is over, for that reason. */
  remove(watcher: Watcher, reason: unknown): void;
}

/** One stream that is served. */
export class Watcher implements StreamConsumer {
  readonly watch: Watch;
  readonly #lane: WatcherHost;
  readonly #stream: ServerStream;
  readonly #reporter: CallReporter;
  readonly #entry: StreamEntry;
  #hasBegun = false;
  #hasRoom = true;
  #isOver = false;

  constructor(lane: WatcherHost, stream: ServerStream, watch: Watch, reporter: CallReporter, entry: StreamEntry) {
    this.#entry = entry;
    this.#lane = lane;
    this.#stream = stream;
    this.#reporter = reporter;
    this.watch = watch;
    stream.consumer = this;
  }

  /** The same for all of one. */
  get connection(): object {
    return this.#stream.socket;
  }

  /** From now on it may pump. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** Sends what there is to send. */
  pump(): void {
    if (!this.#hasBegun || this.#isOver) return;
    try {
      while (this.#hasRoom) {
        const event = this.watch.next();
        if (event === undefined) return;
        this.#hasRoom = this.#stream.write(this.#lane.encode(event), 0);
      }
    } catch (error) {
      this.#end(error);
    }
  }

  /** Ends the stream, with the cursor to resume from. */
  finish(error: GatewayError): void {
    this.#end(this.watch.endedBy(error));
  }

  onData(_bytes: Buffer, start: number, end: number): void {
    this.#stream.consumed(end - start);
  }

  onEnd(): void {}

  onWritable(): void {
    this.#hasRoom = true;
    this.#lane.serveInTurn(this);
  }

  onOver(): void {
    this.#over(canceled());
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#over(error);
    const trailers = new Headers();
    setTrailerStatus(trailers, connectErrorFrom(error));
    this.#stream.end(encodeFields(trailers));
  }

  #over(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#entry.leave();
    this.#reporter.end(connectErrorFrom(error), error);
    this.#lane.remove(this, error);
  }
}
