import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { REPORTS, token } from "../../test/support/tokens.ts";
import type { KnownToken } from "./observation.ts";
import { PackedTokens } from "./packed-tokens.ts";
import type { Json, MachineId, Token, TokenFormat, TokenId } from "./token.ts";

const SLOTS = 4;
/** Nothing beside it, as the cache makes it. */
const FRESH = { uses: 0, isRenewing: false, valid: undefined, clearIn: undefined, signed: undefined };

function known(overrides: Partial<Token> = {}, beside: Partial<KnownToken> = {}): KnownToken {
  const whole = { ...token(1), keyId: undefined, ...overrides };
  return { token: whole, observedAtMonotonicMs: 1.25, observedAtMs: 1_700_000_000_000.5, ...FRESH, ...beside };
}

function deep(depth: number): Json {
  return depth === 0 ? 1 : [deep(depth - 1)];
}

const PLAIN = { noNullPrototype: true };
// Of any code units, those of surrogates alone too.
const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
  fc.array(fc.nat(0xffff), { maxLength: 6 }).map((units) => String.fromCharCode(...units)),
);
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom<Json>(null, true, false, 0, 1e21, 5e-324),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
    text,
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(text, fc.constantFrom("__proto__", "toJSON", "1")), tie("json"), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
}));
const timeMs = fc.oneof(fc.integer({ min: 0, max: 2 ** 45 }), fc.double({ min: 1, max: 2e12, noNaN: true }));
const anyToken: fc.Arbitrary<Token> = fc.record(
  {
    id: text.map((id) => id as TokenId),
    subject: text.map((id) => id as MachineId),
    format: fc.constantFrom<TokenFormat>("opaque", "jwt"),
    claims: fc.option(json, { nil: undefined }),
    scopes: fc.array(
      text.map((id) => id as MachineId),
      { maxLength: 3 },
    ),
    revoked: fc.boolean(),
    revocationReason: fc.option(text, { nil: undefined }),
    expired: fc.boolean(),
    expiresAtMs: fc.option(timeMs, { nil: undefined }),
    lastUsedAtMs: fc.option(timeMs, { nil: undefined }),
    createdAtMs: timeMs,
    updatedAtMs: timeMs,
    keyId: fc.option(text, { nil: undefined }),
  },
  PLAIN,
);
const anyKnown: fc.Arbitrary<KnownToken> = fc.record(
  {
    token: anyToken,
    observedAtMonotonicMs: fc.double({ noNaN: true }),
    observedAtMs: fc.double({ noNaN: true }),
    uses: fc.nat(0xffff_ffff),
    isRenewing: fc.boolean(),
    valid: fc.constant(undefined),
    clearIn: fc.constant(undefined),
    signed: fc.constant(undefined),
  },
  PLAIN,
);

describe("PackedTokens", () => {
  it("gives back what was packed, whatever it says, or refuses it", () => {
    let packed = 0;
    fc.assert(
      fc.property(anyKnown, fc.nat(SLOTS - 1), (one, slot) => {
        const tokens = new PackedTokens(SLOTS);
        const isPacked = tokens.pack(slot, one);
        expect(tokens.unpack(slot)).toStrictEqual(isPacked ? one : undefined);
        if (isPacked) packed += 1;
        else expect(Buffer.byteLength(JSON.stringify(Object.values(one.token)))).toBeGreaterThan(475);
      }),
    );
    expect(packed).toBeGreaterThan(0);
  });

  it("tells no claims from claims that are null", () => {
    const tokens = new PackedTokens(SLOTS);
    tokens.pack(0, known({ claims: undefined }));
    tokens.pack(1, known({ claims: null }));
    expect(tokens.unpack(0)?.token.claims).toBeUndefined();
    expect(tokens.unpack(1)?.token.claims).toBeNull();
  });

  it("makes valid and clearIn anew", () => {
    const tokens = new PackedTokens(SLOTS);
    const { token: whole } = known();
    const valid = {
      verdict: "valid",
      token: whole,
      source: "memory",
      observedAtMs: 1,
      failedCheck: undefined,
    } as const;
    expect(tokens.pack(0, known({}, { valid, clearIn: {} }))).toBe(true);
    expect(tokens.unpack(0)).toStrictEqual(known());
  });

  it("packs what just fits, in bytes of UTF-8", () => {
    const tokens = new PackedTokens(SLOTS);
    const fits = (claims: string) => tokens.pack(0, known({ claims }));
    let longest = 0;
    for (let length = 1; fits("é".repeat(length)); length += 1) {
      expect(tokens.unpack(0)?.token.claims).toBe("é".repeat(length));
      longest = length;
      tokens.drop(0);
    }
    expect(longest).toBeGreaterThan(50);
    expect(fits("e".repeat(2 * longest - 1))).toBe(true);
    tokens.drop(0);
    expect(fits("e".repeat(2 * longest + 2))).toBe(false);
  });

  it.each([
    ["is too large", known({ claims: "c".repeat(500) })],
    ["has too many scopes", known({ scopes: Array.from({ length: 20 }, () => REPORTS) })],
    ["is too long in bytes, though not in characters", known({ claims: "€".repeat(150) })],
    ["has an infinite claim", known({ claims: Number.POSITIVE_INFINITY })],
    ["has an infinite claim within others", known({ claims: { a: [{ b: Number.NEGATIVE_INFINITY }] } })],
    ["has a claim that is no number", known({ claims: [Number.NaN] })],
    ["has a claim of -0", known({ claims: { a: -0 } })],
    ["has claims that are nested too deep", known({ claims: deep(33) })],
    ["has claims that would exhaust the stack", known({ claims: deep(4_000) })],
    ["was checked by its signature here", known({}, { signed: signedToken() })],
  ])("refuses a token that %s", (_what, refused) => {
    const tokens = new PackedTokens(SLOTS);
    expect(tokens.pack(0, refused)).toBe(false);
    expect(tokens.unpack(0)).toBeUndefined();
  });

  it("packs claims as deep as may be", () => {
    const tokens = new PackedTokens(SLOTS);
    expect(tokens.pack(0, known({ claims: deep(32) }))).toBe(true);
    expect(tokens.unpack(0)?.token.claims).toEqual(deep(32));
  });

  it("takes over uses and whether it is being renewed when it packs again", () => {
    const tokens = new PackedTokens(SLOTS);
    const one = known({}, { uses: 3 });
    tokens.pack(0, one);
    for (const beside of [
      { uses: 7, isRenewing: true },
      { uses: 8, isRenewing: false },
    ]) {
      const unpacked = tokens.unpack(0);
      if (unpacked === undefined) throw new Error("nothing was packed");
      expect(tokens.pack(0, Object.assign(unpacked, beside))).toBe(true);
      expect(tokens.unpack(0)).toStrictEqual({ ...one, ...beside });
    }
  });

  it("counts no more uses than a word holds", () => {
    const tokens = new PackedTokens(SLOTS);
    tokens.pack(0, known({}, { uses: 2 ** 32 + 1 }));
    expect(tokens.unpack(0)?.uses).toBe(2 ** 32 - 1);
  });

  it("knows nothing of what it dropped, and packs another in its place", () => {
    const tokens = new PackedTokens(SLOTS);
    tokens.pack(0, known({ claims: "long enough to remain in part" }, { uses: 5, isRenewing: true }));
    tokens.drop(0);
    expect(tokens.unpack(0)).toBeUndefined();
    const other = known({ subject: REPORTS });
    tokens.pack(0, other);
    expect(tokens.unpack(0)).toStrictEqual(other);
  });

  it("keeps slots apart, the fullest too", () => {
    const tokens = new PackedTokens(SLOTS);
    const spare = 480 - JSON.stringify(known({ claims: "" }).token).length;
    const all = Array.from({ length: SLOTS }, (_, slot) => known({ claims: `${slot}`.repeat(spare) }, { uses: slot }));
    for (const slot of [1, 3, 0, 2]) expect(tokens.pack(slot, all[slot] ?? known())).toBe(true);
    expect(all.map((_, slot) => tokens.unpack(slot))).toStrictEqual(all);
    tokens.drop(1);
    expect(all.map((_, slot) => tokens.unpack(slot))).toStrictEqual([all[0], undefined, all[2], all[3]]);
  });
});

function signedToken() {
  const { publicKey: key } = generateKeyPairSync("ed25519");
  return { keyId: undefined, key, notBeforeMs: 0, issuedAtMs: 0, validUntilMs: 1, granted: true };
}
