import { describe, expect, it } from "vitest";
import type { Json } from "../token/token.ts";
import { parseKeySet } from "./key-set.ts";
import { WireError } from "./wire.ts";

const KEY = { kty: "RSA", use: "sig", alg: "RS256", kid: "ins_first", n: "AQAB", e: "AQAB" };
const PARSED = { keyId: "ins_first", modulus: "AQAB", exponent: "AQAB" };

describe("parseKeySet", () => {
  it("reads the RSA keys for RS256 signatures in their order, whatever else they say", () => {
    const second = { kty: "RSA", kid: "ins_second-2", n: "-_A", e: "Aw", x5t: "ignored", key_ops: ["verify"] };
    expect(parseKeySet({ keys: [KEY, second], issued: 1 })).toEqual([
      PARSED,
      { keyId: "ins_second-2", modulus: "-_A", exponent: "Aw" },
    ]);
    expect(parseKeySet({ keys: [] })).toEqual([]);
  });

  it.each<[string, Json]>([
    ["text", "RSA"],
    ["null", null],
    ["a list", [KEY]],
    ["without an id", { ...KEY, kid: null }],
    ["with an empty id", { ...KEY, kid: "" }],
    ["with a number for an id", { ...KEY, kid: 1 }],
    ["with a path for an id", { ...KEY, kid: "../key" }],
    ["with an id of 129 characters", { ...KEY, kid: "k".repeat(129) }],
    ["on a curve", { kty: "EC", crv: "P-256", kid: "ec", x: "AA", y: "AA" }],
    ["shared between two", { kty: "oct", kid: "ins_first", k: "AQAB" }],
    ["of kind rsa", { ...KEY, kty: "rsa" }],
    ["for encryption", { ...KEY, use: "enc" }],
    ["for a null use", { ...KEY, use: null }],
    ["for RS512", { ...KEY, alg: "RS512" }],
    ["for PS256", { ...KEY, alg: "PS256" }],
    ["for a list of algorithms", { ...KEY, alg: ["RS256"] }],
    ["without a modulus", { ...KEY, n: null }],
    ["with a modulus in plain base64", { ...KEY, n: "A+/=" }],
    ["with a modulus beyond 8,192 bits", { ...KEY, n: "A".repeat(1_401) }],
    ["without an exponent", { ...KEY, e: "" }],
  ])("leaves out a key %s", (_what, key) => {
    expect(parseKeySet({ keys: [key, { ...KEY, kid: "other" }] })).toEqual([{ ...PARSED, keyId: "other" }]);
  });

  it("takes a key for one without a use and an algorithm only where it is silent about them", () => {
    const { use: _use, alg: _alg, ...silent } = KEY;
    expect(parseKeySet({ keys: [silent] })).toEqual([PARSED]);
  });

  it("reads no key from a prototype", () => {
    const keys = JSON.parse(`[{"__proto__":${JSON.stringify(KEY)}}]`) as Json;
    expect(parseKeySet({ keys })).toEqual([]);
    expect(() => parseKeySet(JSON.parse(`{"__proto__":{"keys":[]}}`) as Json)).toThrow(WireError);
  });

  it.each<[string, Json]>([
    ["text", "keys"],
    ["null", null],
    ["a list of keys", [KEY]],
    ["an object without keys", {}],
    ["keys that are an object", { keys: { first: KEY } }],
    ["101 keys", { keys: Array.from({ length: 101 }, (_, n) => ({ ...KEY, kid: `ins_${n}` })) }],
    ["one id for two keys", { keys: [KEY, { ...KEY, n: "AQAC" }] }],
  ])("cannot read %s", (_what, body) => {
    expect(() => parseKeySet(body)).toThrow(WireError);
  });

  it("is not confused by an id that a key for something else has too", () => {
    expect(parseKeySet({ keys: [KEY, { kty: "EC", kid: "ins_first" }] })).toEqual([PARSED]);
  });
});
