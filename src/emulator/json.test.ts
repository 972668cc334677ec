import { expect, it } from "vitest";
import { canonicalJson, isDeeperThan, parseJson } from "./json.ts";

it.each([
  ['{"a":1,"b":[{"x":null,"y":true}]}', '{"b":[{"y":true,"x":null}],"a":1}'],
  ['{"__proto__":1,"a":"\\u0061"}', '{"a":"a","__proto__":1}'],
  ["1.0", "1"],
])("canonicalJson is the same for %s and %s", (a, b) => {
  expect(canonicalJson(parseJson(a))).toBe(canonicalJson(parseJson(b)));
});

it.each([
  ["[1,2]", "[2,1]"],
  ["{}", "[]"],
  ['{"a":null}', "{}"],
  ['"1"', "1"],
  ['{"a":1,"b":2}', '{"a":{"b":2}}'],
])("canonicalJson tells %s from %s", (a, b) => {
  expect(canonicalJson(parseJson(a))).not.toBe(canonicalJson(parseJson(b)));
});

it("isDeeperThan counts arrays and objects, and looks no deeper than it must", () => {
  expect(isDeeperThan("text", 0)).toBe(false);
  expect(isDeeperThan([{ a: [] }], 3)).toBe(false);
  expect(isDeeperThan([{ a: [] }], 2)).toBe(true);
  expect(isDeeperThan(parseJson("[".repeat(200_000) + "]".repeat(200_000)), 100)).toBe(true);
});
