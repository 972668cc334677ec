import { Code, ConnectError } from "@connectrpc/connect";
import { KeptBytes } from "./kept-bytes.ts";
import { ENVELOPE_HEAD_BYTES } from "./plain-grpc.ts";

/** Takes a message: `source[from, to)`, valid during the call only. */
export type OnMessage = (source: Buffer, from: number, to: number) => void;

/**
 * Cuts the body of a gRPC call into messages, without copying those that come in one piece. What is wrong with one it
 * throws in the form in which the framework does, for the one mapper of errors.
 */
export class MessageSplitter {
  readonly #maxBytes: number;
  readonly #onMessage: OnMessage;
  /** The part of a message that has come. */
  readonly #kept = new KeptBytes();

  constructor(maxBytes: number, onMessage: OnMessage) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** Whether a part of a message has come and its rest has not. */
  get isMidway(): boolean {
    return this.#kept.length > 0;
  }

  /**
   * Reads up to the end of the next message, which it passes on, or all there is. Returns where it stopped.
   * @throws ConnectError when a message is longer than allowed, or compressed
   */
  read(bytes: Buffer, start: number, end: number): number {
    if (this.#kept.length > 0) return this.#complete(bytes, start, end);
    if (end - start >= ENVELOPE_HEAD_BYTES) {
      const stop = start + ENVELOPE_HEAD_BYTES + this.#lengthAt(bytes, start);
      if (stop <= end) {
        this.#pass(bytes, start, stop);
        return stop;
      }
    }
    this.#kept.add(bytes, start, end);
    return end;
  }

  #complete(bytes: Buffer, start: number, end: number): number {
    const kept = this.#kept;
    let at = start;
    if (kept.length < ENVELOPE_HEAD_BYTES) {
      at = Math.min(end, start + ENVELOPE_HEAD_BYTES - kept.length);
      kept.add(bytes, start, at);
      if (kept.length < ENVELOPE_HEAD_BYTES) return at;
    }
    const length = ENVELOPE_HEAD_BYTES + this.#lengthAt(kept.buffer, kept.from);
    const stop = Math.min(end, at + length - kept.length);
    kept.add(bytes, at, stop);
    if (kept.length < length) return stop;
    const { buffer, from, to } = kept;
    kept.skip(length);
    this.#pass(buffer, from, to);
    return stop;
  }

  #pass(source: Buffer, start: number, stop: number): void {
    if (((source[start] ?? 0) & 1) !== 0) throw new ConnectError("received compressed envelope", Code.Internal);
    this.#onMessage(source, start + ENVELOPE_HEAD_BYTES, stop);
  }

  #lengthAt(bytes: Buffer, start: number): number {
    const length = bytes.readUInt32BE(start + 1);
    if (length > this.#maxBytes) throw new ConnectError("message too large", Code.ResourceExhausted);
    return length;
  }
}

/** What a body is that ends in the middle of a message. */
export function incompleteMessage(): ConnectError {
  return new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
}
