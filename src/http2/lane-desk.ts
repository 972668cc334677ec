import { DATA, END_HEADERS, END_STREAM, FRAME_HEADER_BYTES, HEADERS, writeFrameHeader, writeUint32 } from "./frame.ts";
import type { Output } from "./output.ts";
import type { Sender } from "./sender.ts";
import type { ServerStream } from "./server-stream.ts";
import type { LaneReply, UnaryLane } from "./unary-lane.ts";

/** How calls with one head are answered at once: everything but the body, as frames without their stream. */
export interface LaneRequest {
  readonly lane: UnaryLane;
  readonly reply: LaneReply;
  /** The HEADERS frame and the header of the DATA frame. */
  readonly prefix: Uint8Array;
  /** The HEADERS frame of the trailers. */
  readonly suffix: Uint8Array;
}

export function laneRequest(lane: UnaryLane, reply: LaneReply): LaneRequest {
  const { headers, trailers } = reply;
  const prefix = new Uint8Array(2 * FRAME_HEADER_BYTES + headers.length);
  writeFrameHeader(prefix, 0, headers.length, HEADERS, END_HEADERS, 0);
  prefix.set(headers, FRAME_HEADER_BYTES);
  writeFrameHeader(prefix, FRAME_HEADER_BYTES + headers.length, 0, DATA, 0, 0);
  const suffix = new Uint8Array(FRAME_HEADER_BYTES + trailers.length);
  writeFrameHeader(suffix, 0, trailers.length, HEADERS, END_HEADERS | END_STREAM, 0);
  suffix.set(trailers, FRAME_HEADER_BYTES);
  return { lane, reply, prefix, suffix };
}

/** A request body that is to be answered at once is small; a larger one is served the ordinary way. */
export const MAX_COLLECTED_BYTES = 32 * 1024;

/** Keeps a part of a body that comes in several. Returns what there is of it: the first `stream.collectedBytes`. */
export function collect(stream: ServerStream, bytes: Buffer, start: number, end: number): Buffer {
  const { collectedBytes } = stream;
  const length = collectedBytes + end - start;
  let collected = stream.collected ?? NO_BODY;
  if (length > collected.length) {
    // Twice as much each time, lest a body that comes byte by byte be copied for every byte.
    const larger = Buffer.allocUnsafe(Math.max(length, 2 * collected.length));
    collected.copy(larger, 0, 0, collectedBytes);
    collected = larger;
  }
  bytes.copy(collected, collectedBytes, start, end);
  stream.collected = collected;
  stream.collectedBytes = length;
  return collected;
}

const NO_BODY = Buffer.alloc(0);

/** Answers calls of one connection in its output as it stands, and tells the lanes how many. */
export class LaneDesk {
  readonly #sender: Sender;
  readonly #output: Output;
  #lane: UnaryLane | undefined;
  #answered = 0;

  constructor(sender: Sender, output: Output) {
    this.#sender = sender;
    this.#output = output;
  }

  /** False when the lane leaves the call to others; nothing was written then. */
  answer(stream: ServerStream, request: LaneRequest, body: Buffer, start: number, end: number): boolean {
    const { lane, prefix, suffix, reply } = request;
    const output = this.#output;
    output.reserve(prefix.length + lane.maxAnswerBytes + suffix.length);
    const bodyAt = output.length + prefix.length;
    const bytes = lane.answer(body, start, end, output.buffer, bodyAt, reply);
    if (bytes === 0) return false;
    if (bytes > this.#sender.window || bytes > stream.sendWindow || this.#sender.mustShrinkTable) {
      const waiting = Buffer.from(output.buffer.subarray(bodyAt, bodyAt + bytes));
      // From now on it waits for windows, no longer for its body.
      stream.waitingSinceMs = Number.POSITIVE_INFINITY;
      stream.respond(reply.headers, false);
      stream.write(waiting);
      stream.end(reply.trailers);
    } else {
      this.#frame(stream, prefix, bytes, suffix);
    }
    this.#count(lane);
    return true;
  }

  /** Tells the lane of what it answered since the last time. */
  report(sinceMs: number): void {
    if (this.#answered === 0) return;
    this.#lane?.answered(this.#answered, performance.now() - sinceMs);
    this.#answered = 0;
  }

  /** Puts the frames around a body that lies in the output already. */
  #frame(stream: ServerStream, prefix: Uint8Array, bytes: number, suffix: Uint8Array): void {
    const { buffer, length: at } = this.#output;
    const bodyAt = at + prefix.length;
    buffer.set(prefix, at);
    writeUint32(buffer, at + 5, stream.id);
    const dataAt = bodyAt - FRAME_HEADER_BYTES;
    buffer[dataAt] = bytes >>> 16;
    buffer[dataAt + 1] = bytes >>> 8;
    buffer[dataAt + 2] = bytes;
    writeUint32(buffer, dataAt + 5, stream.id);
    const suffixAt = bodyAt + bytes;
    buffer.set(suffix, suffixAt);
    writeUint32(buffer, suffixAt + 5, stream.id);
    this.#output.length = suffixAt + suffix.length;
    this.#sender.window -= bytes;
    stream.localEnded = true;
  }

  #count(lane: UnaryLane): void {
    if (lane !== this.#lane) this.report(performance.now());
    this.#lane = lane;
    this.#answered += 1;
  }
}
