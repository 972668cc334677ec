import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeaderField } from "./header-field.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeFields, TABLE_SIZE_ZERO } from "./hpack-encoder.ts";

describe("encodeFields", () => {
  it.each([
    ["an index where the static table has the field", [":status", "200"], "88"],
    ["an index where the static table has the field under a later one of its name", [":status", "404"], "8d"],
    ["an index for an empty value that the static table has", ["accept", ""], "93"],
    ["the index of the name where it has no more", [":status", "201"], "0803323031"],
    ["an index of a name in two octets", ["content-type", "a"], "0f100161"],
    ["both strings where it has neither", ["x", "y"], "0001780179"],
    ["an empty value", ["x", ""], "00017800"],
    ["octets above ASCII", ["x", "\xe9\xff"], "00017802e9ff"],
  ] as const)("writes %s", (_what, field, hex) => {
    expect(encodeFields([field]).toString("hex")).toBe(hex);
  });

  it("writes nothing for no fields", () => {
    expect(encodeFields([])).toHaveLength(0);
  });

  it("refuses a character outside latin1, which could become a line break", () => {
    expect(() => encodeFields([["x", "\u010a"]])).toThrow(RangeError);
  });

  it("writes what a decoder without a table reads, and changes no table", () => {
    const text = fc.uint8Array({ maxLength: 400 }).map((octets) => Buffer.from(octets).toString("latin1"));
    const name = fc.oneof(text, fc.constantFrom(":status", "content-type", "grpc-status", "www-authenticate"));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text)), (fields) => {
        const block = Buffer.concat([Buffer.of(TABLE_SIZE_ZERO), encodeFields(fields)]);
        const decoder = new HpackDecoder(0);
        const into: HeaderField[] = [];
        expect(decoder.decode(block, 0, block.length, into, 1_000_000)).toBe(true);
        expect(into.map((field) => [field.name, field.value])).toEqual(fields);
        expect(decoder.version).toBe(0);
      }),
    );
  });
});
