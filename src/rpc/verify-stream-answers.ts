import type { KeptAnswer, Verification } from "../token/verification.ts";
import { ENVELOPE_HEAD_BYTES } from "./plain-grpc.ts";
import { decisionBytes, writeDecision } from "./verify-answer-bytes.ts";

/** What fills a frame of HTTP/2: the engine sends no larger ones. */
const CAPACITY_BYTES = 16 * 1024;
const ID_TAG = 0x08;
const RESPONSE_TAG = 0x12;
/** A tag and a varint of 64 bits. */
export const MAX_ID_BYTES = 11;
/** Of an answer, around its verdict: the message's head, the id, and tag and length of the verdict. */
const AROUND_BYTES = ENVELOPE_HEAD_BYTES + MAX_ID_BYTES + 4;

/** The largest verdict, encoded, that an answer can be put together around. */
export const MAX_VERDICT_BYTES: number = CAPACITY_BYTES - AROUND_BYTES;

/**
 * Messages of VerifyTokenStreamResponse that leave together. Streams that are served one after another share one: whoever
 * puts something in takes it out before anybody else may.
 */
export class StreamAnswers {
  readonly #buffer = Buffer.allocUnsafeSlow(CAPACITY_BYTES);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** @param bytes of a message or of a verdict */
  hasRoomFor(bytes: number): boolean {
    return this.#length + AROUND_BYTES + bytes <= CAPACITY_BYTES;
  }

  /**
   * An answer with a verdict, when there is room for it. The verdict is what `decided` is in bytes, and then `state`.
   * @param ids holds the field of the id, tag and all, from `idFrom` to `idTo`
   */
  put(ids: Uint8Array, idFrom: number, idTo: number, decided: Verification | KeptAnswer, state: Uint8Array): void {
    const buffer = this.#buffer;
    const head = this.#length;
    let at = head + ENVELOPE_HEAD_BYTES;
    for (let index = idFrom; index < idTo; index += 1) buffer[at++] = ids[index] ?? 0;
    buffer[at++] = RESPONSE_TAG;
    const decidedBytes = decisionBytes(decided);
    let verdictBytes = decidedBytes + state.length;
    for (; verdictBytes >= 0x80; verdictBytes >>>= 7) buffer[at++] = (verdictBytes & 0x7f) | 0x80;
    buffer[at++] = verdictBytes;
    writeDecision(decided, buffer, at);
    at += decidedBytes;
    buffer.set(state, at);
    this.#finish(head, at + state.length);
  }

  /** A message as it is, when there is room for it. */
  putMessage(message: Uint8Array): void {
    const head = this.#length;
    this.#buffer.set(message, head + ENVELOPE_HEAD_BYTES);
    this.#finish(head, head + ENVELOPE_HEAD_BYTES + message.length);
  }

  /** A copy of what was put in, which is forgotten. */
  take(): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  #finish(head: number, end: number): void {
    this.#buffer[head] = 0;
    this.#buffer.writeUInt32BE(end - head - ENVELOPE_HEAD_BYTES, head + 1);
    this.#length = end;
  }
}

/** Writes the field of an id as it stands in an answer, and returns how long it is: nothing when the id is 0. */
export function writeId(target: Uint8Array, id: bigint): number {
  if (id === 0n) return 0;
  let at = 0;
  target[at++] = ID_TAG;
  let rest = id;
  for (; rest >= 0x80n; rest >>= 7n) target[at++] = Number(rest & 0x7fn) | 0x80;
  target[at++] = Number(rest);
  return at;
}
