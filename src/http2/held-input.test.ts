import { describe, expect, it } from "vitest";
import { HeldInput } from "./held-input.ts";
import { SlabPool } from "./slab-pool.ts";

const SLAB_BYTES = 16;

function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => i));
}

describe("HeldInput", () => {
  it("gives what was held part by part, whatever becomes of where it came from", () => {
    const held = new HeldInput(new SlabPool(SLAB_BYTES));
    const source = bytes(12);
    held.hold(source, 2, 12);
    source.fill(0xff);
    expect(held.length).toBe(10);
    expect(held.next(4)).toEqual(Buffer.from([2, 3, 4, 5]));
    held.skip(3);
    expect(held.next(100)).toEqual(Buffer.from([5, 6, 7, 8, 9, 10, 11]));
    held.skip(7);
    expect(held.length).toBe(0);
    expect(held.next(100)).toBeUndefined();
  });

  it("takes the buffer that another one is done with, and no other", () => {
    const pool = new SlabPool(SLAB_BYTES);
    const [first, second, third] = [new HeldInput(pool), new HeldInput(pool), new HeldInput(pool)];
    first.hold(bytes(8), 0, 8);
    const used = first.next(8)?.buffer;
    second.hold(bytes(8), 0, 8);
    expect(second.next(8)?.buffer).not.toBe(used);
    first.drop();
    first.drop();
    third.hold(bytes(4), 0, 4);
    expect(third.next(8)?.buffer).toBe(used);
    // It was given back once, though it was dropped twice.
    first.hold(bytes(4), 0, 4);
    expect(first.next(8)?.buffer).not.toBe(used);
  });

  it("holds what is larger than the buffers of all", () => {
    const pool = new SlabPool(SLAB_BYTES);
    const held = new HeldInput(pool);
    held.hold(bytes(SLAB_BYTES + 1), 0, SLAB_BYTES + 1);
    expect(held.next(100)).toEqual(bytes(SLAB_BYTES + 1));
    const large = held.next(1)?.buffer;
    held.drop();
    expect(pool.take(1).buffer).not.toBe(large);
  });

  it("lets the last take the place of what was held before", () => {
    const held = new HeldInput(new SlabPool(SLAB_BYTES));
    held.hold(bytes(8), 0, 8);
    held.skip(2);
    held.hold(bytes(5), 3, 5);
    expect(held.next(100)).toEqual(Buffer.from([3, 4]));
  });
});
