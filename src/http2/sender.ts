import { beginFrame } from "./control-frames.ts";
import type { FloodGuard } from "./flood-guard.ts";
import {
  CONTINUATION,
  DATA,
  DEFAULT_WINDOW_BYTES,
  END_HEADERS,
  END_STREAM,
  HEADERS,
  MAX_FRAME_BYTES,
  MAX_INT31,
} from "./frame.ts";
import { TABLE_SIZE_ZERO } from "./hpack-encoder.ts";
import type { Output } from "./output.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";
import { NOTHING, type ServerStream } from "./server-stream.ts";

/** Output that may wait for the kernel before bodies wait in their streams. */
const HIGH_WATER_BYTES = 128 * 1024;

/** Sends header blocks and bodies, these within the peer's windows, a frame of each stream in turn. */
export class Sender {
  readonly #output: Output;
  readonly #guard: FloodGuard;
  readonly #onSent: (stream: ServerStream) => void;
  /** The connection's window. */
  window = DEFAULT_WINDOW_BYTES;
  /** The window that streams begin with. */
  initialWindow = DEFAULT_WINDOW_BYTES;
  /** The next header block must say that we do without a dynamic table, because the peer's may be smaller than ours. */
  mustShrinkTable = false;
  #hasShrunkTable = false;
  /** Streams that have something to send and room in their window. */
  readonly #ready = new Set<ServerStream>();
  /** Streams that asked to be told of room, and have it. */
  #roomy: ServerStream[] = [];
  #isPumping = false;

  /** @param onSent told of streams whose last frame has been written */
  constructor(output: Output, guard: FloodGuard, onSent: (stream: ServerStream) => void) {
    this.#output = output;
    this.#guard = guard;
    this.#onSent = onSent;
  }

  headers(stream: ServerStream, block: Uint8Array, endStream: boolean): void {
    const output = this.#output;
    const update = this.mustShrinkTable ? 1 : 0;
    this.mustShrinkTable = false;
    let sent = Math.min(block.length, MAX_FRAME_BYTES - update);
    const flags = (sent === block.length ? END_HEADERS : 0) | (endStream ? END_STREAM : 0);
    const at = beginFrame(output, update + sent, HEADERS, flags, stream.id);
    if (update === 1) output.buffer[at] = TABLE_SIZE_ZERO;
    output.buffer.set(sent === block.length ? block : block.subarray(0, sent), at + update);
    while (sent < block.length) {
      const part = block.subarray(sent, sent + MAX_FRAME_BYTES);
      sent += part.length;
      const partAt = beginFrame(output, part.length, CONTINUATION, sent === block.length ? END_HEADERS : 0, stream.id);
      output.buffer.set(part, partAt);
    }
    if (endStream) this.#onSent(stream);
  }

  /** The stream has something to send, or its end. */
  queue(stream: ServerStream, nowMs: number): void {
    if (stream.outgoingBytes === 0) {
      // An end alone takes no window, and so need not wait for its turn.
      this.#sendEnd(stream);
      return;
    }
    if (stream.waitingSinceMs === Number.POSITIVE_INFINITY) stream.waitingSinceMs = nowMs;
    if (this.#ready.has(stream)) return;
    this.#ready.add(stream);
    this.pump(nowMs);
  }

  /** Sends what the windows and the socket allow. */
  pump(nowMs: number): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      // What is written while streams are told of room is sent by the next round, not from within.
      do this.#sendRound(nowMs);
      while (this.#tellOfRoom());
    } finally {
      this.#isPumping = false;
    }
  }

  /** Once is enough: a table of size zero is never larger than the peer's. */
  shrinkTable(): void {
    if (this.#hasShrunkTable) return;
    this.#hasShrunkTable = true;
    this.mustShrinkTable = true;
  }

  /** Sends bytes of a stream that has nothing waiting, if the windows and the socket have room for all of them now. */
  sendAtOnce(stream: ServerStream, bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (this.#ready.size > 0 || this.#output.unsentBytes > HIGH_WATER_BYTES) return false;
    if (length > MAX_FRAME_BYTES || length > this.window || length > stream.sendWindow) return false;
    this.#writeData(stream.id, bytes, 0);
    this.window -= length;
    stream.sendWindow -= length;
    this.#guard.sent();
    return true;
  }

  forget(stream: ServerStream): void {
    if (this.#ready.size > 0) this.#ready.delete(stream);
  }

  /** @throws ConnectionError when the connection's window overflows, or the increment is none */
  credit(increment: number, nowMs: number): void {
    if (increment === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a window update of nothing");
    this.window += increment;
    if (this.window > MAX_INT31) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large");
    this.pump(nowMs);
  }

  /** False when the stream's window overflows. */
  creditStream(stream: ServerStream, increment: number, nowMs: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_INT31) return false;
    if (hasWork(stream) && stream.sendWindow > 0) {
      this.#ready.add(stream);
      this.pump(nowMs);
    }
    return true;
  }

  /** @throws ConnectionError FLOW_CONTROL_ERROR */
  setInitialWindow(bytes: number, streams: Iterable<ServerStream>, nowMs: number): void {
    if (bytes > MAX_INT31) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large");
    const change = bytes - this.initialWindow;
    this.initialWindow = bytes;
    for (const stream of streams) {
      if (!this.creditStream(stream, change, nowMs)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large");
      }
    }
  }

  #sendRound(nowMs: number): void {
    for (const stream of this.#ready) {
      if (this.#output.unsentBytes > HIGH_WATER_BYTES) return;
      if (stream.outgoingBytes > 0 && this.window <= 0) return;
      this.#ready.delete(stream);
      if (this.#sendFrame(stream, nowMs)) this.#ready.add(stream);
    }
  }

  /** False when there was none to tell. */
  #tellOfRoom(): boolean {
    if (this.#roomy.length === 0) return false;
    const roomy = this.#roomy;
    this.#roomy = [];
    for (const stream of roomy) if (!stream.isClosed) stream.consumer?.onWritable();
    return true;
  }

  /** Returns whether the stream can send more. */
  #sendFrame(stream: ServerStream, nowMs: number): boolean {
    const first = stream.outgoing[0];
    if (first === undefined) {
      this.#sendEnd(stream);
      return false;
    }
    const bytes = Math.min(first.length, MAX_FRAME_BYTES, this.window, stream.sendWindow);
    if (bytes <= 0) return false;
    const endsStream = stream.ending && stream.trailers === undefined && bytes === stream.outgoingBytes;
    this.#writeData(stream.id, first.subarray(0, bytes), endsStream ? END_STREAM : 0);
    this.window -= bytes;
    stream.sendWindow -= bytes;
    stream.outgoingBytes -= bytes;
    if (stream.outgoingBytes === 0) stream.outgoing = NOTHING;
    else if (bytes === first.length) stream.outgoing.shift();
    else stream.outgoing[0] = first.subarray(bytes);
    // A window opened by a few bytes at a time is no progress worth waiting for.
    if (bytes === first.length || bytes === MAX_FRAME_BYTES) {
      stream.waitingSinceMs = stream.outgoingBytes > 0 ? nowMs : Number.POSITIVE_INFINITY;
      this.#guard.sent();
    }
    if (endsStream) {
      this.#onSent(stream);
      return false;
    }
    if (stream.outgoingBytes > 0) return stream.sendWindow > 0;
    if (stream.wasFull) {
      stream.wasFull = false;
      this.#roomy.push(stream);
    }
    return stream.ending;
  }

  #sendEnd(stream: ServerStream): void {
    if (!stream.ending) return;
    if (stream.trailers !== undefined) {
      this.headers(stream, stream.trailers, true);
      return;
    }
    this.#writeData(stream.id, NO_BYTES, END_STREAM);
    this.#onSent(stream);
  }

  #writeData(streamId: number, bytes: Uint8Array, flags: number): void {
    const at = beginFrame(this.#output, bytes.length, DATA, flags, streamId);
    this.#output.buffer.set(bytes, at);
  }
}

const NO_BYTES = new Uint8Array(0);

function hasWork(stream: ServerStream): boolean {
  return stream.outgoingBytes > 0 || (stream.ending && !stream.localEnded);
}
