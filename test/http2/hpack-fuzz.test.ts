import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeaderField } from "../../src/http2/header-field.ts";
import { HpackDecoder } from "../../src/http2/hpack-decoder.ts";
import { HpackError } from "../../src/http2/hpack-error.ts";

const MAX_TABLE_BYTES = 4_096;
const RUNS = { numRuns: 1_000 };

const vectors: { block: string }[][] = JSON.parse(
  readFileSync(new URL("./hpack-vectors.json", import.meta.url), "utf8"),
);
const blocks = vectors.flat().map(({ block }) => Buffer.from(block, "hex"));

/** Octets that begin a field of each kind are likelier here than among all 256. */
const octet = fc.oneof(
  fc.integer({ min: 0, max: 255 }),
  fc.constantFrom(0x00, 0x01, 0x10, 0x20, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0x82, 0xbe, 0xbf, 0xff),
);
const randomBlock = fc.array(octet, { maxLength: 300, size: "max" }).map((octets) => Buffer.from(octets));
const damagedBlock = fc
  .record({
    block: fc.constantFrom(...blocks),
    changes: fc.array(fc.tuple(fc.nat(400), octet), { maxLength: 3 }),
    cut: fc.nat(400),
  })
  .map(({ block, changes, cut }) => {
    const damaged = Buffer.from(block);
    for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
    return damaged.subarray(0, cut);
  });
const connection = fc.record({
  chunks: fc.array(fc.oneof(randomBlock, damagedBlock, fc.constantFrom(...blocks)), { maxLength: 6 }),
  maxListBytes: fc.oneof(fc.constant(16_384), fc.nat(500)),
});

describe("any octets", () => {
  it("decode to fields within the limit, or to an HpackError", () => {
    fc.assert(
      fc.property(connection, ({ chunks, maxListBytes }) => {
        const decoder = new HpackDecoder(MAX_TABLE_BYTES);
        for (const chunk of chunks) {
          const fields = decodedOrRefused(decoder, chunk, maxListBytes);
          if (fields === undefined) return;
          expect(fields.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(maxListBytes);
          for (const { name, value, size } of fields) expect(size).toBe(name.length + value.length + 32);
          expect(tableBytesOf(decoder)).toBeLessThanOrEqual(MAX_TABLE_BYTES);
        }
      }),
      RUNS,
    );
  });

  it("are refused or not whatever the limit of the list", () => {
    fc.assert(
      fc.property(connection, ({ chunks, maxListBytes }) => {
        const one = new HpackDecoder(MAX_TABLE_BYTES);
        const other = new HpackDecoder(MAX_TABLE_BYTES);
        for (const chunk of chunks) {
          const all = decodedOrRefused(one, chunk, Number.MAX_SAFE_INTEGER);
          const some = decodedOrRefused(other, chunk, maxListBytes);
          expect(some === undefined).toBe(all === undefined);
          if (some === undefined || all === undefined) return;
          expect(some).toEqual(all.slice(0, some.length));
          expect(other.version).toBe(one.version);
        }
      }),
      RUNS,
    );
  });

  it("outside the block make no difference to it", () => {
    fc.assert(
      fc.property(fc.oneof(randomBlock, damagedBlock), randomBlock, (block, around) => {
        const framed = Buffer.concat([around, block, around]);
        const alone = decodedOrRefused(new HpackDecoder(MAX_TABLE_BYTES), block, 16_384);
        const end = around.length + block.length;
        const within = decodedOrRefused(new HpackDecoder(MAX_TABLE_BYTES), framed, 16_384, around.length, end);
        expect(within).toEqual(alone);
      }),
      RUNS,
    );
  });
});

function decodedOrRefused(
  decoder: HpackDecoder,
  block: Uint8Array,
  maxListBytes: number,
  start = 0,
  end = block.length,
): HeaderField[] | undefined {
  const fields: HeaderField[] = [];
  try {
    decoder.decode(block, start, end, fields, maxListBytes);
    return fields;
  } catch (error) {
    expect(error).toBeInstanceOf(HpackError);
    return undefined;
  }
}

function tableBytesOf(decoder: HpackDecoder): number {
  let bytes = 0;
  for (let index = 62; ; index++) {
    const block = index < 127 ? Uint8Array.of(0x80 | index) : Uint8Array.of(0xff, index - 127);
    const fields = decodedOrRefused(decoder, block, 1_000_000);
    if (fields === undefined) return bytes;
    bytes += fields[0]?.size ?? 0;
  }
}
