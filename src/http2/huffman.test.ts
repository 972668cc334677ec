import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HpackError } from "./hpack-error.ts";
import { huffmanOctets, huffmanText } from "./huffman.ts";
import { END_OF_STRING, huffmanCodes } from "./huffman-code.ts";

const CODES = new Map(huffmanCodes().map(({ symbol, bits, code }) => [symbol, code.toString(2).padStart(bits, "0")]));

describe("the Huffman code", () => {
  it("is complete and free of prefixes", () => {
    const all = [...CODES.values()].sort();
    expect(all).toHaveLength(257);
    expect(all.filter((code, at) => all[at + 1]?.startsWith(code))).toEqual([]);
    expect(all.reduce((sum, code) => sum + 2 ** -code.length, 0)).toBe(1);
  });

  it.each([
    ["0", "00000"],
    ["a", "00011"],
    [" ", "010100"],
    ["Z", "11111101"],
    ["\x00", "1111111111000"],
    ["\\", "1111111111111110000"],
    ["\n", "111111111111111111111111111100"],
    ["\x16", "111111111111111111111111111110"],
    ["\xff", "11111111111111111111101110"],
  ])("has for %j the bits of RFC 7541, appendix B", (character, bits) => {
    expect(CODES.get(character.charCodeAt(0))).toBe(bits);
  });
});

describe("a Huffman string", () => {
  it("gives every text back, however long", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6_000, size: "max" }), (octets) => {
        const coded = codedOctets([...octets]);
        const count = huffmanOctets(coded, 0, coded.length);
        expect(count).toBe(octets.length);
        expect(huffmanText(coded, 0, coded.length, count)).toBe(Buffer.from(octets).toString("latin1"));
      }),
      { numRuns: 100 },
    );
  });

  it("may end in any padding of up to seven ones, and in nothing else", () => {
    // "0" has five bits and "&" eight, so that these have every count of bits to the next octet.
    for (let zeros = 0; zeros < 8; zeros++) {
      const bits = `${"00000".repeat(zeros)}11111000`;
      const padding = (8 - (bits.length % 8)) % 8;
      expect(huffmanOctets(octetsOf(bits + "1".repeat(padding)), 0, octetsOf(bits).length)).toBe(zeros + 1);
      const longer = octetsOf(`${bits}${"1".repeat(padding + 8)}`);
      expect(() => huffmanOctets(longer, 0, longer.length)).toThrow(HpackError);
      for (let zero = 0; zero < padding; zero++) {
        // Five bits and more may hold a symbol where they are no padding.
        if (padding >= 5) continue;
        const wrong = octetsOf(`${bits}${"1".repeat(zero)}0${"1".repeat(padding - zero - 1)}`);
        expect(() => huffmanOctets(wrong, 0, wrong.length)).toThrow(HpackError);
      }
    }
  });

  it("never holds the end of string, wherever it begins in an octet", () => {
    for (let zeros = 0; zeros < 8; zeros++) {
      const coded = codedOctets([...new Array<number>(zeros).fill(0x30), END_OF_STRING, 0x30]);
      expect(() => huffmanOctets(coded, 0, coded.length)).toThrow(HpackError);
    }
  });
});

function codedOctets(symbols: readonly number[]): Buffer {
  const bits = symbols.map((symbol) => CODES.get(symbol) ?? "").join("");
  return octetsOf(bits.padEnd(Math.ceil(bits.length / 8) * 8, "1"));
}

function octetsOf(bits: string): Buffer {
  return Buffer.from((bits.match(/.{1,8}/g) ?? []).map((octet) => Number.parseInt(octet.padEnd(8, "1"), 2)));
}
