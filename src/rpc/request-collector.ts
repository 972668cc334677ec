import { ErrorCode } from "../http2/protocol-error.ts";
import type { ServerStream, StreamConsumer } from "../http2/server-stream.ts";
import type { Clock } from "../token/ports.ts";
import { BODY_TIMEOUT_MS } from "./transport-limits.ts";

/** Larger requests are left to the framework, which says what is wrong with them. */
const MAX_REQUEST_BYTES = 64 * 1024;

/** Waits for the request message, but not for ever, and keeps it until it is taken. */
export class RequestCollector implements StreamConsumer {
  readonly #stream: ServerStream;
  readonly #stopWaiting: () => void;
  readonly #onWhole: () => void;
  #parts: Buffer[] = [];
  #bytes = 0;

  /** @param onWhole told that there is all of the message, or more than there may be */
  constructor(stream: ServerStream, clock: Clock, onWhole: () => void) {
    this.#stream = stream;
    this.#onWhole = () => {
      this.#stopWaiting();
      onWhole();
    };
    this.#stopWaiting = clock.after(BODY_TIMEOUT_MS, () => stream.reset(ErrorCode.CANCEL));
  }

  /** What has come. Nothing is left of it, as of what nobody has taken when the stream is over. */
  take(): Buffer {
    const body = Buffer.concat(this.#parts);
    this.#parts = [];
    return body;
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#bytes += end - start;
    if (this.#bytes > MAX_REQUEST_BYTES && !this.#stream.remoteEnded) this.#onWhole();
  }

  onEnd(): void {
    this.#onWhole();
  }

  onWritable(): void {}

  onOver(): void {
    this.#stopWaiting();
    this.#parts = [];
  }
}
