import type { EngineLimits } from "./engine-limits.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HEADERS,
  MAX_FRAME_BYTES,
  PADDED,
  PING,
  PREFACE,
  PRIORITY,
  PRIORITY_FLAG,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  uint31At,
  WINDOW_UPDATE,
} from "./frame.ts";
import { expectConnection, expectLength, expectRequest, expectStream } from "./frame-checks.ts";
import { PartialFrame } from "./partial-frame.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";
import type { SlabPool } from "./slab-pool.ts";

/**
 * Told of each frame, once its form is right. Byte ranges are valid during the call only. What a sink throws ends the
 * reading.
 */
export interface FrameSink {
  /** @param flowBytes what the frame takes from the flow-control windows: padding counts */
  onData(streamId: number, bytes: Buffer, start: number, end: number, flowBytes: number, endStream: boolean): void;
  /** A header block, whole. @param selfDependent whether its priority makes the stream depend on itself */
  onHeaderBlock(
    streamId: number,
    bytes: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    selfDependent: boolean,
  ): void;
  onReset(streamId: number): void;
  /** @param start of a multiple of six bytes */
  onSettings(bytes: Buffer, start: number, end: number): void;
  /** @param start of eight bytes */
  onPing(isAck: boolean, bytes: Buffer, start: number): void;
  onWindowUpdate(streamId: number, increment: number): void;
  onPriority(streamId: number, selfDependent: boolean): void;
  /** A frame that asks for nothing: GOAWAY, the acknowledgement of SETTINGS, or of a type that is not known. */
  onIdleFrame(): void;
}

interface OpenBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly selfDependent: boolean;
  readonly parts: Buffer[];
  bytes: number;
}

/**
 * Cuts the bytes of one client into frames. Frames that lie whole in a chunk, as nearly all do, are read where they are;
 * of one that does not only its own bytes are copied.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #limits: EngineLimits;
  readonly #isSated: () => boolean;
  /** Bytes of the preface still to come. */
  #prefaceLeft = PREFACE.length;
  #sawSettings = false;
  readonly #partial: PartialFrame;
  /** How often a frame or a header block came to its end, modulo 2^32: tells one that is slow from many in a row. */
  completions = 0;
  /** A header block whose end has not come: nothing else may come before it (RFC 9113, 4.3). */
  #block: OpenBlock | undefined;

  /**
   * @param slabs of FRAME_SLAB_BYTES
   * @param isSated whether enough has been read for now
   */
  constructor(sink: FrameSink, limits: EngineLimits, slabs: SlabPool, isSated: () => boolean) {
    this.#sink = sink;
    this.#limits = limits;
    this.#partial = new PartialFrame(slabs);
    this.#isSated = isSated;
  }

  /** Whether the client is in the middle of a frame or of a header block. */
  get isMidway(): boolean {
    return this.#partial.length > 0 || this.#block !== undefined;
  }

  /**
   * Reads the first `length` of `bytes`, which may hold anything else after the call.
   * @returns how many have been read: fewer once enough has been; the next call must begin with the others
   * @throws ConnectionError
   */
  read(bytes: Buffer, length: number): number {
    let position = this.#prefaceLeft > 0 ? this.#readPreface(bytes, length) : 0;
    if (this.#partial.length > 0) position = this.#finishFrame(bytes, position, length);
    while (length - position >= FRAME_HEADER_BYTES) {
      if (this.#isSated()) return position;
      const end = position + FRAME_HEADER_BYTES + lengthAt(bytes, position);
      if (end > length) break;
      this.#readFrame(bytes, position, end);
      position = end;
    }
    if (position < length) this.#partial.add(bytes, position, length, length - position);
    return length;
  }

  /** Nothing more will be read. Not while something is. */
  drop(): void {
    this.#partial.drop();
  }

  #readPreface(bytes: Buffer, length: number): number {
    const count = Math.min(this.#prefaceLeft, length);
    const from = PREFACE.length - this.#prefaceLeft;
    if (PREFACE.compare(bytes, 0, count, from, from + count) !== 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "not HTTP/2");
    }
    this.#prefaceLeft -= count;
    return count;
  }

  /** Adds to the frame that an earlier chunk began what `bytes[position, length)` has of it. Returns where the next begins. */
  #finishFrame(bytes: Buffer, position: number, length: number): number {
    const partial = this.#partial;
    let at = partial.add(bytes, position, length, FRAME_HEADER_BYTES);
    if (partial.length < FRAME_HEADER_BYTES) return at;
    const end = FRAME_HEADER_BYTES + lengthAt(partial.bytes, 0);
    at = partial.add(bytes, at, length, end);
    if (partial.length < end) return at;
    this.#readFrame(partial.bytes, 0, end);
    partial.drop();
    return at;
  }

  #readFrame(bytes: Buffer, at: number, end: number): void {
    const type = bytes[at + 3] ?? 0;
    const flags = bytes[at + 4] ?? 0;
    const streamId = uint31At(bytes, at + 5);
    const start = at + FRAME_HEADER_BYTES;
    if (!this.#sawSettings) this.#expectSettings(type, flags);
    if (this.#block !== undefined && (type !== CONTINUATION || streamId !== this.#block.streamId)) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted");
    }
    if (type === DATA) this.#readData(streamId, flags, bytes, start, end);
    else if (type === HEADERS) this.#readHeaders(streamId, flags, bytes, start, end);
    else if (type === WINDOW_UPDATE) {
      expectLength(end - start, 4);
      this.#sink.onWindowUpdate(streamId, uint31At(bytes, start));
    } else this.#readRare(type, streamId, flags, bytes, start, end);
    if (this.#block === undefined) this.completions = (this.completions + 1) | 0;
  }

  #expectSettings(type: number, flags: number): void {
    if (type !== SETTINGS || (flags & ACK) !== 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS");
    }
    this.#sawSettings = true;
  }

  #readData(streamId: number, flags: number, bytes: Buffer, start: number, end: number): void {
    expectRequest(streamId);
    if ((flags & PADDED) === 0) {
      this.#sink.onData(streamId, bytes, start, end, end - start, (flags & END_STREAM) !== 0);
      return;
    }
    const last = end - paddingAt(bytes, start, end);
    this.#sink.onData(streamId, bytes, start + 1, last, end - start, (flags & END_STREAM) !== 0);
  }

  #readHeaders(streamId: number, flags: number, bytes: Buffer, start: number, end: number): void {
    expectRequest(streamId);
    let from = start;
    let to = end;
    if ((flags & PADDED) !== 0) {
      to -= paddingAt(bytes, start, end);
      from += 1;
    }
    let selfDependent = false;
    if ((flags & PRIORITY_FLAG) !== 0) {
      if (to - from < 5) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without room for its priority");
      selfDependent = uint31At(bytes, from) === streamId;
      from += 5;
    }
    const endStream = (flags & END_STREAM) !== 0;
    if ((flags & END_HEADERS) !== 0) {
      this.#sink.onHeaderBlock(streamId, bytes, from, to, endStream, selfDependent);
      return;
    }
    const part = Buffer.from(bytes.subarray(from, to));
    this.#block = { streamId, endStream, selfDependent, parts: [part], bytes: part.length };
  }

  #readContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without a header block");
    }
    block.parts.push(Buffer.from(bytes.subarray(start, end)));
    block.bytes += end - start;
    const { maxContinuations, maxHeaderBlockBytes } = this.#limits;
    if (block.parts.length > maxContinuations + 1 || block.bytes > maxHeaderBlockBytes) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the header block is too large");
    }
    if ((flags & END_HEADERS) === 0) return;
    this.#block = undefined;
    const whole = Buffer.concat(block.parts, block.bytes);
    this.#sink.onHeaderBlock(block.streamId, whole, 0, whole.length, block.endStream, block.selfDependent);
  }

  #readRare(type: number, streamId: number, flags: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    switch (type) {
      case CONTINUATION:
        this.#readContinuation(flags, bytes, start, end);
        return;
      case RST_STREAM:
        expectRequest(streamId);
        expectLength(length, 4);
        this.#sink.onReset(streamId);
        return;
      case SETTINGS:
        this.#readSettings(streamId, flags, bytes, start, end);
        return;
      case PING:
        expectConnection(streamId);
        expectLength(length, 8);
        this.#sink.onPing((flags & ACK) !== 0, bytes, start);
        return;
      case GOAWAY:
        expectConnection(streamId);
        if (length < 8) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is too short");
        this.#sink.onIdleFrame();
        return;
      case PRIORITY:
        expectStream(streamId);
        expectLength(length, 5);
        this.#sink.onPriority(streamId, uint31At(bytes, start) === streamId);
        return;
      case PUSH_PROMISE:
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "clients do not push");
      default:
        this.#sink.onIdleFrame();
    }
  }

  #readSettings(streamId: number, flags: number, bytes: Buffer, start: number, end: number): void {
    expectConnection(streamId);
    if ((flags & ACK) !== 0) {
      expectLength(end - start, 0);
      this.#sink.onIdleFrame();
      return;
    }
    if ((end - start) % 6 !== 0) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size");
    this.#sink.onSettings(bytes, start, end);
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
  if (length > MAX_FRAME_BYTES) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large");
  return length;
}

/** The bytes that padding takes at the end of a padded payload; its length, in the first byte, is not among them. */
function paddingAt(bytes: Buffer, start: number, end: number): number {
  const padding = bytes[start] ?? 0;
  if (start === end) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without padding length");
  if (padding >= end - start) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "more padding than payload");
  return padding;
}
