import type { Socket } from "node:net";
import type { RequestHead } from "./request-head.ts";

/**
 * Calls of one path that are answered while the bytes that ask are being read: no promise, no stream, no copy of the
 * request. What a lane cannot answer is served the ordinary way, as if the lane were not there.
 */
export interface UnaryLane {
  readonly path: string;
  /** The most bytes that `answer` writes: 16,384 at most, for they go in one frame. */
  readonly maxAnswerBytes: number;
  /**
   * How calls with this head are answered, or `undefined` to serve them the ordinary way. Asked once for each distinct
   * header block of a connection, `socket`.
   */
  admit(head: RequestHead, socket: Socket): LaneReply | undefined;
  /**
   * Writes the body of the answer to the request body `body[start, end)` into `target` from `offset` on.
   *
   * @param reply what `admit` gave for the head of the call
   * @returns how many bytes it wrote; 0 to serve the call the ordinary way. Must not throw, nor keep `body`.
   */
  answer(body: Buffer, start: number, end: number, target: Buffer, offset: number, reply: LaneReply): number;
  /** Told, after a chunk of input, how many of its calls were answered and how long the chunk took, in milliseconds. */
  answered(count: number, durationMs: number): void;
}

/** The header sections around the body of an answer, as HPACK blocks that use no dynamic table. */
export interface LaneReply {
  readonly headers: Uint8Array;
  readonly trailers: Uint8Array;
}
