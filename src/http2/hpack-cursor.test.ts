import { describe, expect, it } from "vitest";
import { HpackCursor } from "./hpack-cursor.ts";
import { HpackError } from "./hpack-error.ts";
import { writeInteger } from "./hpack-integer.ts";

describe("integers", () => {
  it.each([
    ["C.1.1", 10, 5, [0b01010]],
    ["C.1.2", 1_337, 5, [0b11111, 0b10011010, 0b00001010]],
    ["C.1.3", 42, 8, [0b00101010]],
  ])("are read and written as RFC 7541, %s has them", (_example, value, prefixBits, octets) => {
    expect(readInteger(Uint8Array.from(octets), prefixBits)).toEqual({ value, end: octets.length });
    const target = new Uint8Array(octets.length);
    expect(writeInteger(target, 0, 0, prefixBits, value)).toBe(octets.length);
    expect([...target]).toEqual(octets);
  });

  it("come out as they went in around every length and prefix", () => {
    for (let prefixBits = 4; prefixBits <= 7; prefixBits++) {
      const mask = 2 ** prefixBits - 1;
      for (const edge of [0, mask, mask + 2 ** 7, mask + 2 ** 14, mask + 2 ** 21, mask + 2 ** 28 - 2]) {
        for (const value of [edge - 1, edge, edge + 1].filter((each) => each >= 0)) {
          const target = new Uint8Array(6);
          const end = writeInteger(target, 0, 0, prefixBits, value);
          expect(readInteger(target, prefixBits)).toEqual({ value, end });
        }
      }
    }
  });

  it("leave the other bits of their first octet alone", () => {
    const target = new Uint8Array(2);
    writeInteger(target, 0, 0x80, 7, 130);
    expect([...target]).toEqual([0xff, 3]);
    expect(readInteger(target, 4).value).toBe(18);
  });

  it("may have zeros that say nothing, up to a bound", () => {
    expect(readInteger(Uint8Array.of(0x1f, 0x80, 0x80, 0x80, 0), 5)).toEqual({ value: 31, end: 5 });
    expect(() => readInteger(Uint8Array.of(0x1f, 0x80, 0x80, 0x80, 0x80, 0), 5)).toThrow(HpackError);
  });
});

describe("skipping", () => {
  it.each([
    ["octets of a range, both its ends among them", [5, 7, 6, 4], 0, 4, 3],
    ["nothing when the first is below it", [4, 5, 6], 0, 3, 0],
    ["nothing when the first is above it", [8, 5, 6], 0, 3, 0],
    ["up to the end and no further", [5, 6, 7, 5], 1, 3, 3],
    ["nothing of an empty block", [], 0, 0, 0],
  ])("passes over %s", (_what, octets, start, end, position) => {
    const cursor = new HpackCursor();
    cursor.reset(start, end);
    cursor.skip(Uint8Array.from(octets), 5, 7);
    expect(cursor.position).toBe(position);
  });
});

function readInteger(octets: Uint8Array, prefixBits: number) {
  const cursor = new HpackCursor();
  cursor.reset(0, octets.length);
  const value = cursor.integer(octets, prefixBits);
  return { value, end: cursor.position };
}
