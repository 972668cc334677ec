import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeaderField } from "./header-field.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackError } from "./hpack-error.ts";

const LITERAL_WITH_INDEXING = "40";
const LITERAL_NEVER_INDEXED = "10";

describe("HpackDecoder", () => {
  it.each([
    ["index 0", "80"],
    ["an index beyond the static table while the dynamic one is empty", "be"],
    ["an index beyond both tables", `${inserted("a", "b")}bf`],
    ["the name of an index beyond both tables", "7f0001 61"],
    ["an index that is cut off", "ff"],
    ["an index that goes on in the next block", "ff80"],
    ["an integer of more octets than any number takes", "ff8080808000"],
    ["an integer beyond 2^28", "ffffffffff7f"],
    ["a literal without its name", LITERAL_WITH_INDEXING],
    ["a name that is cut off", "4003 6162"],
    ["a literal without its value", "400161"],
    ["a value that is cut off", "400161 0262"],
    ["a value whose length is cut off", "400161 7f"],
    ["a literal that is cut off and is not to be indexed", "000161 0262"],
    ["a table size update above what was announced", "3fe21f"],
    ["a table size update after a field", "8220"],
    ["a table size update that is cut off", "3f"],
    ["a Huffman string that holds the end of string", "000161 84ffffffff"],
    ["a Huffman string padded by more than seven bits", "000161 821fff"],
    ["a Huffman string padded by zeros", "000161 8118"],
    ["a Huffman string of padding alone", "000161 81ff"],
    ["a Huffman name that ends in the middle of a symbol", "0081fe 00"],
  ])("refuses %s", (_case, hex) => {
    expect(() => fieldsOf(new HpackDecoder(4_096), hex)).toThrow(HpackError);
  });

  it("refuses what is beyond the end of its block, whatever follows there", () => {
    const block = Buffer.from("000161026262", "hex");
    for (let end = 1; end < block.length; end++) {
      expect(() => new HpackDecoder(4_096).decode(block, 0, end, [], 4_096)).toThrow(HpackError);
    }
  });

  it("refuses the same blocks when the list was too large before", () => {
    const decoder = new HpackDecoder(4_096);
    expect(() => decodedWithin(decoder, 31, "82 000161 821fff")).toThrow(HpackError);
  });

  it("reads a block from a Uint8Array that is no Buffer", () => {
    const block = new Uint8Array(Buffer.from(`000161 14${"62".repeat(20)}`.replaceAll(" ", ""), "hex"));
    const into: HeaderField[] = [];
    new HpackDecoder(4_096).decode(block, 0, block.length, into, 4_096);
    expect(into).toEqual([{ name: "a", value: "b".repeat(20), size: 53 }]);
  });

  it("decodes an empty block", () => {
    expect(fieldsOf(new HpackDecoder(4_096), "")).toEqual([]);
  });

  it("decodes a field that is never to be indexed, and does not index it", () => {
    const decoder = new HpackDecoder(4_096);
    expect(fieldsOf(decoder, `${LITERAL_NEVER_INDEXED}0161 0162`)).toEqual([{ name: "a", value: "b", size: 34 }]);
    expect(decoder.version).toBe(0);
    expect(() => fieldsOf(decoder, "be")).toThrow(HpackError);
  });

  it("gives one and the same object for each use of an index", () => {
    const decoder = new HpackDecoder(4_096);
    const [first] = fieldsOf(decoder, inserted("a", "b"));
    const [second, third, fourth] = fieldsOf(decoder, "be be 82");
    expect(second).toBe(first);
    expect(third).toBe(first);
    expect(fieldsOf(new HpackDecoder(4_096), "82")[0]).toBe(fourth);
  });

  it("lets a field take its name from an entry that it pushes out", () => {
    const decoder = new HpackDecoder(40);
    fieldsOf(decoder, inserted("abc", "12345"));
    expect(fieldsOf(decoder, "7e 05 3637383930")).toEqual([{ name: "abc", value: "67890", size: 40 }]);
    expect(fieldsOf(decoder, "be")).toEqual([{ name: "abc", value: "67890", size: 40 }]);
    expect(() => fieldsOf(decoder, "bf")).toThrow(HpackError);
  });

  it("empties its table for a field larger than the table, and gives the field all the same", () => {
    const decoder = new HpackDecoder(40);
    fieldsOf(decoder, inserted("abc", "12345"));
    expect(fieldsOf(decoder, "7e 06 363738393031")).toEqual([{ name: "abc", value: "678901", size: 41 }]);
    expect(() => fieldsOf(decoder, "be")).toThrow(HpackError);
  });

  it("keeps nothing while its table has no room at all", () => {
    const decoder = new HpackDecoder(0);
    expect(fieldsOf(decoder, `20 ${inserted("a", "b")}`)).toHaveLength(1);
    expect(decoder.version).toBe(0);
    expect(() => fieldsOf(decoder, "21")).toThrow(HpackError);
  });

  it("empties its table by an update to 0 and goes on with the size of the update after it", () => {
    const decoder = new HpackDecoder(4_096);
    fieldsOf(decoder, inserted("a", "b"));
    expect(fieldsOf(decoder, "20 3fe11f")).toEqual([]);
    expect(() => fieldsOf(decoder, "be")).toThrow(HpackError);
    fieldsOf(decoder, inserted("c", "d"));
    expect(fieldsOf(decoder, "be")).toEqual([{ name: "c", value: "d", size: 34 }]);
  });

  it("uses more than 4,096 octets only after an update that says so", () => {
    const decoder = new HpackDecoder(8_192);
    const large = `${inserted("a", "b".repeat(2_500))}${inserted("c", "d".repeat(2_500))}`;
    fieldsOf(decoder, large);
    expect(() => fieldsOf(decoder, "bf")).toThrow(HpackError);
    fieldsOf(decoder, `3fe13f ${large}`);
    expect(fieldsOf(decoder, "bf")).toEqual([{ name: "a", value: "b".repeat(2_500), size: 2_533 }]);
  });
});

describe("the version of a decoder's table", () => {
  it("stays the same for indices, literals that are not indexed and updates that change nothing", () => {
    const decoder = new HpackDecoder(4_096);
    fieldsOf(decoder, inserted("a", "b"));
    const { version } = decoder;
    fieldsOf(decoder, "3fe11f be 82 000161 0162 100161 0162");
    expect(decoder.version).toBe(version);
  });

  it.each([
    ["an insertion", inserted("c", "d")],
    ["an eviction without insertion", inserted("c", "d".repeat(5_000))],
    ["a smaller table", "3fe10f"],
  ])("increases with %s", (_case, hex) => {
    const decoder = new HpackDecoder(4_096);
    fieldsOf(decoder, inserted("a", "b"));
    const { version } = decoder;
    fieldsOf(decoder, hex);
    expect(decoder.version).toBeGreaterThan(version);
  });
});

describe("a list that is too large", () => {
  it("is cut at its limit, to the octet", () => {
    const decoder = new HpackDecoder(4_096);
    const hex = "000161 0162 000161 0162";
    expect(decodedWithin(decoder, 68, hex)).toMatchObject({ isWhole: true, fields: [{}, {}] });
    expect(decodedWithin(decoder, 67, hex)).toMatchObject({ isWhole: false, fields: [{}] });
    expect(decodedWithin(decoder, 33, hex)).toEqual({ isWhole: false, fields: [] });
    expect(decodedWithin(decoder, 0, "")).toEqual({ isWhole: true, fields: [] });
  });

  it("is not taken up again by smaller fields that follow", () => {
    const decoder = new HpackDecoder(4_096);
    const { isWhole, fields } = decodedWithin(decoder, 100, `82 000161 7f00${"62".repeat(127)} 82 82`);
    expect(isWhole).toBe(false);
    expect(fields).toEqual([{ name: ":method", value: "GET", size: 42 }]);
  });

  it("still fills the table", () => {
    const decoder = new HpackDecoder(4_096);
    expect(decodedWithin(decoder, 10, `82 ${inserted("a", "b")}`)).toEqual({ isWhole: false, fields: [] });
    expect(fieldsOf(decoder, "be")).toEqual([{ name: "a", value: "b", size: 34 }]);
  });

  it("keeps no field of the many that a small block names", () => {
    const decoder = new HpackDecoder(4_096);
    fieldsOf(decoder, inserted("a", "b".repeat(4_000)));
    const { isWhole, fields } = decodedWithin(decoder, 16_384, "be".repeat(100_000));
    expect(isWhole).toBe(false);
    expect(fields).toHaveLength(4);
  });
});

describe("what is passed over once a list is too large", () => {
  it.each([
    ["index 0", "80"],
    ["index 0 among many", `${"82".repeat(9)}80${"82".repeat(9)}`],
    ["the first index beyond both tables", "bf"],
    ["the highest index of one octet", "fe"],
    ["an index of several octets beyond both tables", "ff00"],
    ["an index that is cut off", "82ff"],
    ["a table size update", "8220"],
    ["a literal that is cut off", "82000161 05"],
  ])("is not %s", (_case, hex) => {
    const decoder = new HpackDecoder(4_096);
    fieldsOf(decoder, inserted("a", "b"));
    expect(() => decodedWithin(decoder, 0, `82 be be ${hex}`)).toThrow(HpackError);
  });

  it("is every index from the newest entry to the oldest, also those of several octets", () => {
    const decoder = new HpackDecoder(4_096);
    fieldsOf(decoder, Array.from({ length: 70 }, (_, n) => inserted("a", `${n}`)).join(""));
    expect(decodedWithin(decoder, 0, "82 81 bd be fe ff00 ff04")).toEqual({ isWhole: false, fields: [] });
    expect(() => decodedWithin(decoder, 0, "82 ff05")).toThrow(HpackError);
  });

  it("ends with its block, whatever follows there", () => {
    const block = Buffer.from("8282828280", "hex");
    expect(new HpackDecoder(4_096).decode(block, 0, 4, [], 0)).toBe(false);
  });

  it("changes nothing for what follows it, in its block and in later ones", () => {
    const index = fc.integer({ min: 1, max: 64 }).map((value) => (0x80 | value).toString(16));
    const word = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 40 });
    const literal = (first: string) =>
      fc.tuple(word, word).map(([name, value]) => `${first}${rawString(name)}${rawString(value)}`);
    const field = fc.oneof(index, index, literal(LITERAL_WITH_INDEXING), literal("00"), literal(LITERAL_NEVER_INDEXED));
    const block = fc.array(field, { maxLength: 30 }).map((fields) => fields.join(""));
    const blocks = fc.array(fc.tuple(block, fc.integer({ min: 0, max: 600 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(blocks, fc.integer({ min: 40, max: 400 }), (all, tableBytes) => {
        const limited = new HpackDecoder(tableBytes);
        const unlimited = new HpackDecoder(tableBytes);
        for (const [hex, maxListBytes] of all) {
          const whole = outcomeOf(unlimited, Number.POSITIVE_INFINITY, hex);
          const cut = outcomeOf(limited, maxListBytes, hex);
          if (whole === undefined || cut === undefined) {
            expect(cut).toBe(whole);
            return;
          }
          const listed = listedWithin(whole.fields, maxListBytes);
          expect(cut).toEqual({ isWhole: listed.length === whole.fields.length, fields: listed });
          expect(limited.version).toBe(unlimited.version);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

/** `undefined` for what cannot be decoded. */
function outcomeOf(decoder: HpackDecoder, maxListBytes: number, hex: string) {
  try {
    return decodedWithin(decoder, maxListBytes, hex);
  } catch (error) {
    if (error instanceof HpackError) return undefined;
    throw error;
  }
}

/** The fields before the first for which there is no room. */
function listedWithin(fields: readonly HeaderField[], maxListBytes: number): HeaderField[] {
  let bytes = 0;
  const end = fields.findIndex(({ size }) => {
    bytes += size;
    return bytes > maxListBytes;
  });
  return fields.slice(0, end === -1 ? fields.length : end);
}

function inserted(name: string, value: string): string {
  return `${LITERAL_WITH_INDEXING}${rawString(name)}${rawString(value)}`;
}

function rawString(text: string): string {
  const rest = text.length - 0x7f;
  const length = rest < 0 ? [text.length] : [0x7f, 0x80 | (rest & 0x7f), rest >> 7];
  return Buffer.from([...length, ...Buffer.from(text, "latin1")]).toString("hex");
}

function fieldsOf(decoder: HpackDecoder, hex: string): HeaderField[] {
  return decodedWithin(decoder, 65_536, hex).fields;
}

function decodedWithin(decoder: HpackDecoder, maxListBytes: number, hex: string) {
  const block = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const fields: HeaderField[] = [];
  return { isWhole: decoder.decode(block, 0, block.length, fields, maxListBytes), fields };
}
