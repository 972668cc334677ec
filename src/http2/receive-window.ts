import { writeWindowUpdate } from "./control-frames.ts";
import type { EngineLimits } from "./engine-limits.ts";
import { DEFAULT_WINDOW_BYTES, MAX_FRAME_BYTES } from "./frame.ts";
import type { Output } from "./output.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";
import type { ServerStream } from "./server-stream.ts";

/** Body bytes of all connections that nobody has read yet. */
export interface UnreadTotal {
  bytes: number;
}

/** What the client may send: the connection's window and those of its streams. Room is given back once it is read. */
export class ReceiveWindow {
  readonly #output: Output;
  readonly #limits: EngineLimits;
  readonly #unread: UnreadTotal;
  readonly #fullWindow: number;
  #window: number;
  #uncredited = 0;

  constructor(output: Output, limits: EngineLimits, unread: UnreadTotal) {
    this.#output = output;
    this.#limits = limits;
    this.#unread = unread;
    this.#fullWindow = Math.max(limits.receiveWindowBytes, DEFAULT_WINDOW_BYTES);
    this.#window = this.#fullWindow;
  }

  /** @throws ConnectionError FLOW_CONTROL_ERROR when the client sent more than it may */
  take(bytes: number): void {
    this.#window -= bytes;
    if (this.#window < 0) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows");
  }

  /**
   * Counts what a stream was sent: `bodyBytes` as not read yet, the padding around it as done with.
   * @returns why the stream must be reset, or NO_ERROR
   */
  takeStream(stream: ServerStream, flowBytes: number, bodyBytes: number): ErrorCode {
    stream.receiveWindow -= flowBytes;
    stream.unreadBytes += flowBytes;
    this.#unread.bytes += flowBytes;
    if (stream.receiveWindow < 0) return ErrorCode.FLOW_CONTROL_ERROR;
    if (this.#isOverfull()) return ErrorCode.ENHANCE_YOUR_CALM;
    if (stream.bodyBytesLeft !== undefined) {
      stream.bodyBytesLeft -= bodyBytes;
      // More or less than was announced makes a request malformed (RFC 9113, 8.1.1).
      if (stream.bodyBytesLeft < 0 || (stream.remoteEnded && stream.bodyBytesLeft > 0)) return ErrorCode.PROTOCOL_ERROR;
    }
    if (flowBytes > bodyBytes) this.giveStream(stream, flowBytes - bodyBytes);
    return ErrorCode.NO_ERROR;
  }

  /** Bytes of no stream, or of one that is over, are done with. */
  give(bytes: number): void {
    this.#window += bytes;
    this.#uncredited += bytes;
    if (this.#uncredited < this.#fullWindow / 2) return;
    writeWindowUpdate(this.#output, 0, this.#uncredited);
    this.#uncredited = 0;
  }

  giveStream(stream: ServerStream, bytes: number): void {
    const read = Math.min(bytes, stream.unreadBytes);
    stream.unreadBytes -= read;
    this.#unread.bytes -= read;
    this.give(read);
    if (stream.remoteEnded || stream.isClosed) return;
    stream.receiveWindow += read;
    stream.uncredited += read;
    if (stream.uncredited < DEFAULT_WINDOW_BYTES / 2) return;
    writeWindowUpdate(this.#output, stream.id, stream.uncredited);
    stream.uncredited = 0;
  }

  /** What others hold unread is not held against a client that has but a frame waiting. */
  #isOverfull(): boolean {
    return this.#unread.bytes > this.#limits.maxUnreadBytes && this.#fullWindow - this.#window > MAX_FRAME_BYTES;
  }
}
