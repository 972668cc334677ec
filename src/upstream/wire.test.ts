import { describe, expect, it } from "vitest";
import type { Json, MachineId, TokenId, TokenSecret } from "../token/token.ts";
import { formatOfSecret, parseCreatedToken, parseJson, parseRevokedToken, parseToken, parseTokenPage } from "./wire.ts";

const ID = "mt_f7f0ba8c3b4843ce7d85fcdd5e71853e" as TokenId;
const SUBJECT = "mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk" as MachineId;
const SECRET = "mt_8XOIucKvqHVr5tYP123456789abcdefghij";
const BODY = {
  object: "machine_to_machine_token",
  id: ID,
  subject: SUBJECT,
  claims: { role: "reader" },
  scopes: ["mch_2yGkLpQ7Y3rXSwtU24CzTk9I7Em"],
  revoked: false,
  revocation_reason: null,
  expired: false,
  expiration: 1716883200000,
  last_used_at: null,
  created_at: 1716879600000,
  updated_at: 1716879600001,
} satisfies Json;
const REQUEST = { subject: SUBJECT, includeRevoked: false, includeExpired: false, limit: 2, offset: 0 };

function without(name: string): Json {
  return Object.fromEntries(Object.entries(BODY).filter(([key]) => key !== name)) as Json;
}

describe("parseToken", () => {
  it("reads every field", () => {
    expect(parseToken(BODY, "opaque")).toEqual({
      id: ID,
      subject: SUBJECT,
      format: "opaque",
      claims: { role: "reader" },
      scopes: ["mch_2yGkLpQ7Y3rXSwtU24CzTk9I7Em"],
      revoked: false,
      revocationReason: undefined,
      expired: false,
      expiresAtMs: 1716883200000,
      lastUsedAtMs: undefined,
      createdAtMs: 1716879600000,
      updatedAtMs: 1716879600001,
    });
  });

  it("passes on what the upstream said of revocation and expiry without a judgement of its own", () => {
    const token = parseToken(
      { ...BODY, revoked: true, revocation_reason: "left", expired: false, expiration: 1 },
      "jwt",
    );
    expect(token).toMatchObject({
      revoked: true,
      revocationReason: "left",
      expired: false,
      expiresAtMs: 1,
      format: "jwt",
    });
  });

  it("takes absent and null claims and scopes for none and ignores fields it does not know", () => {
    for (const body of [without("claims"), { ...BODY, claims: null }]) {
      expect(parseToken(body, "opaque").claims).toBeUndefined();
    }
    for (const body of [without("scopes"), { ...BODY, scopes: null }]) {
      expect(parseToken(body, "opaque").scopes).toEqual([]);
    }
    expect(parseToken({ ...BODY, token: SECRET, more: 1 }, "opaque")).not.toHaveProperty("more");
  });

  it.each([false, 0, "", [], "text", [1, { a: null }]])("accepts %j as claims", (claims) => {
    expect(parseToken({ ...BODY, claims }, "opaque").claims).toEqual(claims);
  });

  it.each(Object.keys(BODY).filter((name) => name !== "claims" && name !== "scopes"))("demands %s", (name) => {
    expect(() => parseToken(without(name), "opaque")).toThrow(`${name} is missing`);
  });

  const time = [-1, 8.64e15 + 2, "1716883200000", true, [], {}];
  const wrong: Readonly<Record<string, readonly Json[]>> = {
    object: ["machine", 1, null],
    id: [null, 7, "", "mt_short", `${ID}0`, `${ID}\n`, "mt_f7f0ba8c3b4843ce7d85fcdd5e71853_", ID.replace("mt_", "mx_")],
    subject: [null, 7, "mch_short", `${SUBJECT}x`, `${SUBJECT}\n`, "mch_2xhFjEI5X2qWRvtV13BzSj8H6D-"],
    scopes: ["mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk", {}, [null], [1], [SUBJECT, "mch_x"]],
    revoked: [null, 0, "false", {}],
    revocation_reason: [1, false, {}],
    expired: [null, 1, "true", []],
    expiration: time,
    last_used_at: time,
    created_at: [null, ...time],
    updated_at: [null, ...time],
  };
  it.each(Object.entries(wrong).flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    "refuses %s = %j and names the field, not the value",
    (name, value) => {
      expect(() => parseToken({ ...BODY, [name]: value }, "opaque")).toThrow(
        new RegExp(`^${name}(\\[\\d\\])? is (not|neither) [a-z _]+$`),
      );
    },
  );

  it("refuses a number that JSON can write and a double cannot hold", () => {
    const body = parseJson(JSON.stringify(BODY).replace("1716879600000", "1e999"));
    expect(() => parseToken(body, "opaque")).toThrow("created_at is not a time");
  });

  it.each([null, 1, "text", [], [BODY]])("refuses %j in place of a token", (body) => {
    expect(() => parseToken(body as Json, "opaque")).toThrow("the body is not an object");
  });

  it("keeps a claim named __proto__ as data and pollutes nothing", () => {
    const text = JSON.stringify(BODY).replace('{"role":"reader"}', '{"__proto__":{"admin":true},"constructor":1}');
    const claims = parseToken(parseJson(text), "opaque").claims as Readonly<Record<string, Json>>;
    expect(Object.keys(claims)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(claims)).toBe(Object.prototype);
    expect(JSON.stringify(claims)).toBe('{"__proto__":{"admin":true},"constructor":1}');
    expect("admin" in {}).toBe(false);
  });

  it("does not take a field from a __proto__ in the body", () => {
    const text = JSON.stringify(without("revoked")).replace("{", '{"__proto__":{"revoked":false},');
    expect(() => parseToken(parseJson(text), "opaque")).toThrow("revoked is missing");
  });

  it("does not take a field from the prototype of all objects", () => {
    Object.defineProperty(Object.prototype, "revoked", { value: false, configurable: true });
    try {
      expect(() => parseToken(without("revoked"), "opaque")).toThrow("revoked is missing");
    } finally {
      Reflect.deleteProperty(Object.prototype, "revoked");
    }
  });

  it("accepts claims 30 levels deep and refuses deeper ones, however deep", () => {
    const nested = (depth: number): Json => parseJson(`${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`);
    expect(parseToken({ ...BODY, claims: nested(30) }, "opaque").claims).toEqual(nested(30));
    expect(() => parseToken({ ...BODY, claims: nested(66) }, "opaque")).toThrow("claims is nested too deeply");
    expect(() => parseToken({ ...BODY, claims: nested(2000) }, "opaque")).toThrow("claims is nested too deeply");
  });
});

describe("parseCreatedToken", () => {
  it("takes the secret and reads the format off its shape", () => {
    expect(parseCreatedToken({ ...BODY, token: SECRET })).toEqual({
      token: parseToken(BODY, "opaque"),
      secret: SECRET,
    });
    expect(parseCreatedToken({ ...BODY, token: "eyJh.eyJz.c2ln" }).token.format).toBe("jwt");
  });

  it("demands a secret that can be presented", () => {
    expect(() => parseCreatedToken(BODY)).toThrow("token is missing");
    for (const token of [null, 1, "", "two words", "line\n", "x".repeat(16_385)]) {
      expect(() => parseCreatedToken({ ...BODY, token })).toThrow("token is not of its form");
    }
  });
});

describe("parseRevokedToken", () => {
  it("accepts the token asked for, revoked", () => {
    expect(parseRevokedToken({ ...BODY, revoked: true }, ID)).toMatchObject({
      id: ID,
      revoked: true,
      format: "opaque",
    });
  });

  it("refuses another token and one that is not revoked", () => {
    expect(() => parseRevokedToken(BODY, ID)).toThrow("revoked is false after a revocation");
    expect(() => parseRevokedToken({ ...BODY, revoked: true }, `mt_${"0".repeat(32)}` as TokenId)).toThrow(
      "id is not the one asked for",
    );
  });
});

describe("parseTokenPage", () => {
  it("reads the tokens and the total", () => {
    const page = parseTokenPage({ m2m_tokens: [BODY, BODY], total_count: 7 }, REQUEST);
    expect(page).toEqual({ tokens: [parseToken(BODY, "opaque"), parseToken(BODY, "opaque")], totalCount: 7 });
  });

  it.each([
    [{ total_count: 1 }, "m2m_tokens is missing"],
    [{ m2m_tokens: {}, total_count: 1 }, "m2m_tokens is not an array"],
    [{ m2m_tokens: [] }, "total_count is missing"],
    [{ m2m_tokens: [], total_count: -1 }, "total_count is not a count"],
    [{ m2m_tokens: [], total_count: 1.5 }, "total_count is not a count"],
    [{ m2m_tokens: [], total_count: "1" }, "total_count is not a count"],
    [{ m2m_tokens: [BODY, null], total_count: 1 }, "m2m_tokens[1] is not an object"],
    [{ m2m_tokens: [without("revoked")], total_count: 1 }, "m2m_tokens[0].revoked is missing"],
    [{ m2m_tokens: [BODY, BODY, BODY], total_count: 3 }, "m2m_tokens holds more items than were asked for"],
    [
      { m2m_tokens: [{ ...BODY, subject: "mch_2yGkLpQ7Y3rXSwtU24CzTk9I7Em" }], total_count: 1 },
      "m2m_tokens[0].subject is not the one asked for",
    ],
  ] as const)("refuses %j", (body, message) => {
    expect(() => parseTokenPage(body as Json, REQUEST)).toThrow(message);
  });
});

it("says that a body is not JSON without quoting it", () => {
  expect(() => parseJson(`{"token":"${SECRET}"`)).toThrow(/^the body is not JSON$/);
});

it("knows a JWT by its three base64url parts", () => {
  expect(formatOfSecret("eyJ.e-J_.sig" as TokenSecret)).toBe("jwt");
  for (const secret of [SECRET, "a.b", "a.b.c.d", "a..c", "a.b.c="]) {
    expect(formatOfSecret(secret as TokenSecret)).toBe("opaque");
  }
});
