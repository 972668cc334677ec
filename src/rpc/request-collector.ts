import { ErrorCode } from "../http2/protocol-error.ts";
import type { ServerStream, StreamConsumer } from "../http2/server-stream.ts";
import type { Clock } from "../token/ports.ts";
import { BODY_TIMEOUT_MS } from "./transport-limits.ts";

/** Larger requests are left to the framework, which says what is wrong with them. */
const MAX_REQUEST_BYTES = 64 * 1024;

/** Waits for the request message, but not for ever. */
export class RequestCollector implements StreamConsumer {
  readonly #stream: ServerStream;
  readonly #stopWaiting: () => void;
  readonly #onWhole: (body: Buffer) => void;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(stream: ServerStream, clock: Clock, onWhole: (body: Buffer) => void) {
    this.#stream = stream;
    this.#onWhole = (body) => {
      this.#stopWaiting();
      onWhole(body);
    };
    this.#stopWaiting = clock.after(BODY_TIMEOUT_MS, () => stream.reset(ErrorCode.CANCEL));
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#bytes += end - start;
    if (this.#bytes > MAX_REQUEST_BYTES && !this.#stream.remoteEnded) this.#onWhole(Buffer.concat(this.#parts));
  }

  onEnd(): void {
    this.#onWhole(Buffer.concat(this.#parts));
  }

  onWritable(): void {}

  onOver(): void {
    this.#stopWaiting();
  }
}
