import { describe, expect, it } from "vitest";
import { FRAME_SLAB_BYTES, PartialFrame } from "./partial-frame.ts";
import { SlabPool } from "./slab-pool.ts";

const LARGE = 5000;

function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => i % 251));
}

function contentOf({ bytes, length }: PartialFrame): Buffer {
  return Buffer.from(bytes.subarray(0, length));
}

describe("PartialFrame", () => {
  it.each([1, 7, 1000, LARGE])(
    "keeps what comes %i bytes at a time, whatever becomes of where it came from",
    (step) => {
      const partial = new PartialFrame(new SlabPool(FRAME_SLAB_BYTES));
      const whole = bytes(LARGE);
      for (let at = 0; at < LARGE; at += step) {
        const chunk = Buffer.from(whole.subarray(at, at + step));
        expect(partial.add(chunk, 0, chunk.length, LARGE)).toBe(chunk.length);
        chunk.fill(0xff);
      }
      expect(contentOf(partial)).toEqual(whole);
    },
  );

  it("takes no more than it was told, and tells where it stopped", () => {
    const partial = new PartialFrame(new SlabPool(FRAME_SLAB_BYTES));
    expect(partial.add(bytes(20), 3, 20, 9)).toBe(12);
    expect(partial.add(bytes(20), 0, 20, 9)).toBe(0);
    expect(contentOf(partial)).toEqual(bytes(20).subarray(3, 12));
  });

  it("leaves the memory of a large one to the next", () => {
    const pool = new SlabPool(FRAME_SLAB_BYTES);
    const [first, second, third] = [new PartialFrame(pool), new PartialFrame(pool), new PartialFrame(pool)];
    for (const partial of [first, second]) partial.add(bytes(LARGE), 0, LARGE, LARGE + 1);
    const used = first.bytes.buffer;
    expect(second.bytes.buffer).not.toBe(used);
    first.drop();
    expect(first.length).toBe(0);
    third.add(bytes(LARGE), 0, LARGE, LARGE + 1);
    expect(third.bytes.buffer).toBe(used);
  });

  it("takes little for a small one", () => {
    const partial = new PartialFrame(new SlabPool(FRAME_SLAB_BYTES));
    partial.add(bytes(100), 0, 100, 16_000);
    expect(partial.bytes.length).toBe(100);
  });
});
