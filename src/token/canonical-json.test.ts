import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { jsonEquals } from "./policy.ts";
import type { Json } from "./token.ts";

describe("canonicalJson", () => {
  it.each([
    ["null", null, "null"],
    ["text", 'a"\u2028\n', '"a\\"\u2028\\n"'],
    ["negative zero", -0, "0"],
    ["large and small numbers", [1e21, 1e-7, 0.1, 4.5e15], "[1e+21,1e-7,0.1,4500000000000000]"],
    [
      "members in the order of code units",
      { "\u20ac": 1, "\r": 2, "1": 3, "😀": 4, "\ufb33": 5, ö: 6, "10": 7, a: 8 },
      '{"\\r":2,"1":3,"10":7,"a":8,"ö":6,"€":1,"😀":4,"\ufb33":5}',
    ],
    [
      "names that objects inherit",
      JSON.parse('{"toString":1,"__proto__":{"b":1,"a":2},"constructor":null}'),
      '{"__proto__":{"a":2,"b":1},"constructor":null,"toString":1}',
    ],
    ["nothing in something", { a: [{}, []] }, '{"a":[{},[]]}'],
  ] as [string, Json, string][])("writes %s", (_what, json, text) => {
    expect(canonicalJson(json)).toBe(text);
  });

  it("gives two values the same text exactly when they are equal as JSON", () => {
    const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(canonicalJson(a) === canonicalJson(b)).toBe(jsonEquals(normal(a), normal(b)));
        expect(canonicalJson(shuffled(a))).toBe(canonicalJson(a));
        expect(JSON.parse(canonicalJson(a))).toEqual(normal(a));
      }),
    );
  });
});

/** JSON knows no negative zero. */
function normal(json: Json): Json {
  return JSON.parse(JSON.stringify(json));
}

function shuffled(json: Json): Json {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(shuffled);
  return Object.fromEntries(
    Object.entries(json)
      .reverse()
      .map(([name, value]) => [name, shuffled(value)]),
  );
}
