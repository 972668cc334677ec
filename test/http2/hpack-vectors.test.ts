import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { HeaderField } from "../../src/http2/header-field.ts";
import { HpackDecoder } from "../../src/http2/hpack-decoder.ts";

interface Vector {
  readonly block: string;
  readonly fields: readonly string[];
}

const connections: Vector[][] = JSON.parse(readFileSync(new URL("./hpack-vectors.json", import.meta.url), "utf8"));

describe("header blocks of another implementation", () => {
  it("give the fields that it put into them, over connections that resize their tables", () => {
    for (const vectors of connections) {
      const decoder = new HpackDecoder(4_096);
      for (const { block, fields } of vectors)
        expect(decoded(decoder, block, 65_536)).toEqual({ isWhole: true, fields });
    }
  });

  it("leave the table in step when their lists are too large", () => {
    for (const vectors of connections) {
      const decoder = new HpackDecoder(4_096);
      for (const { block, fields } of vectors) {
        const limit = sizeOf(fields) - 1;
        const cut = decoded(decoder, block, limit);
        if (limit < 0) continue;
        expect(cut.isWhole).toBe(false);
        expect(sizeOf(cut.fields)).toBeLessThanOrEqual(limit);
        expect(fields.slice(0, cut.fields.length)).toEqual(cut.fields);
      }
      const whole = new HpackDecoder(4_096);
      for (const { block } of vectors) decoded(whole, block, 65_536);
      expect(tableOf(decoder)).toEqual(tableOf(whole));
    }
  });

  it("are within a list that is exactly as large as they are", () => {
    for (const vectors of connections) {
      const decoder = new HpackDecoder(4_096);
      for (const { block, fields } of vectors) {
        expect(decoded(decoder, block, sizeOf(fields))).toEqual({ isWhole: true, fields });
      }
    }
  });

  it("give the same again while the version of the table stays the same", () => {
    let repeated = 0;
    for (const vectors of connections) {
      const decoder = new HpackDecoder(4_096);
      for (const { block, fields } of vectors) {
        const before = decoder.version;
        decoded(decoder, block, 65_536);
        if (decoder.version !== before) continue;
        repeated++;
        expect(decoded(decoder, block, 65_536).fields).toEqual(fields);
        expect(decoder.version).toBe(before);
      }
    }
    expect(repeated).toBeGreaterThan(10);
  });
});

function decoded(decoder: HpackDecoder, hex: string, maxListBytes: number) {
  // Among other octets, as a frame has its block in a chunk.
  const block = Buffer.from(`ffff${hex}ffff`, "hex");
  const into: HeaderField[] = [];
  const isWhole = decoder.decode(block, 2, block.length - 2, into, maxListBytes);
  return { isWhole, fields: into.map(({ name, value }) => `${name}: ${value}`) };
}

function sizeOf(fields: readonly string[]): number {
  return fields.reduce((sum, field) => sum + field.length - ": ".length + 32, 0);
}

/** Asked entry by entry, until there is none. */
function tableOf(decoder: HpackDecoder): HeaderField[] {
  const table: HeaderField[] = [];
  for (let index = 62; index < 127; index++) {
    try {
      decoder.decode(Uint8Array.of(0x80 | index), 0, 1, table, 1_000_000);
    } catch {
      return table;
    }
  }
  return table;
}
