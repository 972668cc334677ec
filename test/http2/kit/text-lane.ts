import { encodeFields } from "../../../src/http2/hpack-encoder.ts";
import type { LaneReply, UnaryLane } from "../../../src/http2/unary-lane.ts";

/**
 * A lane on `/lane` that answers a body `<text>` with `<text>!`, as often as a number before a colon says: `3:ab` with
 * `ababab!`. It leaves bodies that begin with `no` to the ordinary way.
 */
export class TextLane implements UnaryLane {
  readonly path = "/lane";
  readonly maxAnswerBytes = 16 * 1024;
  admitted = 0;
  /** What `answered` told, in its order. */
  readonly told: number[] = [];

  admit(): LaneReply {
    this.admitted += 1;
    return {
      headers: encodeFields([
        [":status", "200"],
        ["content-type", "text/plain"],
      ]),
      trailers: encodeFields([["grpc-status", "0"]]),
    };
  }

  answer(body: Uint8Array, start: number, end: number, target: Buffer, offset: number): number {
    const text = Buffer.from(body.subarray(start, end)).toString("latin1");
    if (text.startsWith("no")) return 0;
    const [, times = "1", part = text] = /^(\d+):(.*)$/s.exec(text) ?? [];
    return target.write(`${part.repeat(Number(times))}!`, offset, "latin1");
  }

  answered(count: number): void {
    this.told.push(count);
  }
}
