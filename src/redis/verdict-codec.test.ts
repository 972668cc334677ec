import { describe, expect, it } from "vitest";
import type { MachineId, Token, TokenId } from "../token/token.ts";
import { decodeVerdict, encodeVerdict } from "./verdict-codec.ts";

const TOKEN: Token = {
  id: "mt_00000000000000000000000000000001" as TokenId,
  subject: "mch_billing00000000000000000000" as MachineId,
  format: "opaque",
  claims: { a: [1, null, { b: "c" }] },
  scopes: ["mch_reports00000000000000000000" as MachineId],
  revoked: false,
  revocationReason: undefined,
  expired: false,
  expiresAtMs: 4_000_000_000_000,
  lastUsedAtMs: undefined,
  createdAtMs: 1_700_000_000_000,
  updatedAtMs: 1_700_000_000_001,
};

describe("a stored verdict", () => {
  it.each([
    TOKEN,
    { ...TOKEN, claims: undefined, scopes: [], expiresAtMs: undefined, lastUsedAtMs: 5, format: "jwt" as const },
    { ...TOKEN, claims: null },
  ])("is read as it was written", (token) => {
    expect(decodeVerdict(encodeVerdict({ token, lifeMs: 30_000 }))).toEqual({ token, lifeMs: 30_000 });
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("is none when field %i is of another kind", (index) => {
    const fields = JSON.parse(encodeVerdict({ token: TOKEN, lifeMs: 30_000 })) as unknown[];
    for (const wrong of [true, { a: 1 }, "a b", -1]) {
      expect(decodeVerdict(JSON.stringify(fields.with(index, wrong)))).toBeUndefined();
    }
  });

  it.each(["", "{}", "null", "[1]", "[1,"])("is none when it is %j", (text) => {
    expect(decodeVerdict(text)).toBeUndefined();
  });
});
