import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DigestIndex, MAX_SLOTS } from "./digest-index.ts";
import type { TokenDigest } from "./token.ts";

const SLOTS = 12;
/** One word more than a digest has, so that it is seen when another's is touched. */
const RECORD_WORDS = 9;
const MARK = 0xabcd_ef01;

/** A digest by where it lies in the index, by its tag, and by what no entry has of it. */
function digest(home: number, tag: number, rest: number, restAt = 31): TokenDigest {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(home, 0);
  bytes.writeUInt32LE((tag << 23) >>> 0, 4);
  bytes[restAt] = (bytes[restAt] ?? 0) ^ rest;
  return bytes.toString("latin1") as TokenDigest;
}

/** Equal in home, in tag, in both, or in neither. The last homes of the index go on at its beginning. */
const digests = fc.record({
  home: fc.constantFrom(0, 1, 30, 31, 0xffff_ffff),
  tag: fc.constantFrom(0, 1, 0x100, 0x1ff),
  rest: fc.nat(3),
});

function createIndex() {
  const records = new Uint32Array(SLOTS * RECORD_WORDS).fill(MARK);
  return { records, index: new DigestIndex(SLOTS, records, RECORD_WORDS) };
}

describe("DigestIndex", () => {
  it("finds what a map would, however digests collide", () => {
    const step = fc.record({
      kind: fc.constantFrom("add", "add", "remove", "find"),
      at: digests,
      which: fc.nat(SLOTS),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 200 }), (steps) => {
        const { index } = createIndex();
        const model = new Map<TokenDigest, number>();
        const vacant = Array.from({ length: SLOTS }, (_, slot) => slot);
        for (const { kind, at, which } of steps) {
          const one = digest(at.home, at.tag, at.rest);
          const slot = model.get(one);
          expect(index.find(one)).toBe(slot ?? -1);
          if (kind === "add" && slot === undefined) add(one);
          if (kind === "remove") remove([...model][which]);
          for (const [other, where] of model) expect(index.find(other)).toBe(where);
        }

        function remove(entry: [TokenDigest, number] | undefined): void {
          if (entry === undefined) return;
          const [one, slot] = entry;
          index.remove(slot);
          model.delete(one);
          vacant.push(slot);
          expect(index.find(one)).toBe(-1);
        }

        function add(one: TokenDigest): void {
          const slot = vacant.shift();
          if (slot === undefined) return;
          index.add(one, slot);
          model.set(one, slot);
        }
      }),
    );
  });

  it("finds those behind one that is removed, over the end of the index too, and not those at home there", () => {
    for (let removed = 0; removed < 6; removed += 1) {
      const { index } = createIndex();
      const all = [30, 30, 31, 30, 0, 1].map((home, slot) => digest(home, 0, slot));
      for (const [slot, one] of all.entries()) index.add(one, slot);
      index.remove(removed);
      expect(all.map((one) => index.find(one))).toEqual(all.map((_, slot) => (slot === removed ? -1 : slot)));
    }
  });

  it.each(Array.from({ length: 32 }, (_, byte) => byte))("tells digests apart that differ in byte %i alone", (byte) => {
    const { index } = createIndex();
    index.add(digest(5, 7, 0), 3);
    for (const bit of [1, 0x80]) {
      expect(index.find(digest(5, 7, bit, byte))).toBe(-1);
      index.add(digest(5, 7, bit, byte), 4);
      expect(index.find(digest(5, 7, bit, byte))).toBe(4);
      expect(index.find(digest(5, 7, 0))).toBe(3);
      index.remove(4);
    }
  });

  it("writes a digest into its record, and nowhere else", () => {
    const { index, records } = createIndex();
    const one = digest(0x0403_0201, 0x1ff, 0xff);
    index.add(one, 2);
    const bytes = Buffer.from(records.buffer, 2 * RECORD_WORDS * 4, 32);
    expect(bytes.toString("latin1")).toBe(one);
    expect(records.filter((word) => word === MARK)).toHaveLength(SLOTS * RECORD_WORDS - 8);
  });

  it("knows nothing after a clear, though the records are as they were", () => {
    const { index } = createIndex();
    for (let slot = 0; slot < SLOTS; slot += 1) index.add(digest(0, slot, 0), slot);
    index.clear();
    for (let slot = 0; slot < SLOTS; slot += 1) expect(index.find(digest(0, slot, 0))).toBe(-1);
    index.add(digest(0, 1, 0), 0);
    expect(index.find(digest(0, 1, 0))).toBe(0);
  });

  it("takes the last slot that an entry can name, whatever the tag", () => {
    // Records of no length: they all are one.
    const index = new DigestIndex(2, new Uint32Array(8), 0);
    for (const tag of [0, 0x1ff]) {
      index.add(digest(1, tag, 0), MAX_SLOTS - 1);
      expect(index.find(digest(1, tag, 0))).toBe(MAX_SLOTS - 1);
      index.remove(MAX_SLOTS - 1);
      expect(index.find(digest(1, tag, 0))).toBe(-1);
    }
  });
});
