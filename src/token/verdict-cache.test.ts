import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { BILLING, REPORTS, token, tokenId } from "../../test/support/tokens.ts";
import { Digester } from "./digest.ts";
import type { Observation } from "./observation.ts";
import { jsonEquals } from "./policy.ts";
import type { Json, Token, TokenDigest } from "./token.ts";
import { formOf } from "./token-form.ts";
import { VerdictCache, type VerdictCacheOptions } from "./verdict-cache.ts";

const DIGESTER = new Digester("scope");
const ANY_AGE = Number.POSITIVE_INFINITY;

function create(overrides: Partial<VerdictCacheOptions> = {}) {
  const clock = new FakeClock();
  const cache = new VerdictCache({
    clock,
    ttlMs: 30_000,
    refusalTtlMs: 2_000,
    maxKnown: 3,
    maxKnownBytes: 1_000_000,
    maxRefused: 3,
    ...overrides,
  });
  const observe = (about: Token | undefined): Observation => ({
    token: about,
    observedAtMonotonicMs: clock.monotonicMs(),
    observedAtMs: clock.wallMs(),
    uses: 0,
  });
  const usable = (n: number) => {
    const known = cache.known(digest(n));
    return known !== undefined && cache.isUsable(known, clock.monotonicMs(), ANY_AGE);
  };
  return { clock, cache, observe, usable };
}

function digest(n: number): TokenDigest {
  return DIGESTER.of(`${n}`);
}

describe("VerdictCache", () => {
  it("bounds known tokens and refusals apart: a flood of made-up tokens pushes out no good one", () => {
    const { cache, observe, usable } = create();
    for (const n of [1, 2, 3]) cache.put(digest(n), observe(token(n)));
    for (let n = 10; n < 1_000; n += 1) cache.put(digest(n), observe(undefined));
    expect([1, 2, 3].every(usable)).toBe(true);
    expect(cache.refusedCount).toBe(3);
    cache.put(digest(4), observe(token(4)));
    expect(cache.knownCount).toBe(3);
    expect(cache.evictions).toBe(1);
  });

  it("takes no memory for what it is allowed to hold, be it all that can be configured", () => {
    const before = process.memoryUsage().rss;
    const { cache, observe, usable } = create({ maxKnown: 10_000_000, maxKnownBytes: 8 * 2 ** 30 });
    for (let n = 1; n < 1_000; n += 1) cache.put(digest(n), observe(token(n)));
    expect(usable(999)).toBe(true);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20);
  });

  it("bounds the size of known tokens, claims included", () => {
    const { cache, observe } = create({ maxKnown: 1_000, maxKnownBytes: 100_000 });
    const claims = { text: "x".repeat(10_000) };
    for (let n = 0; n < 100; n += 1) cache.put(digest(n), observe(token(n, { claims, scopes: [BILLING, REPORTS] })));
    expect(cache.knownCount).toBe(4);
    cache.put(digest(100), observe(token(100, { claims: "x".repeat(100_000) })));
    expect(cache.known(digest(100))).toBeUndefined();
  });

  it("keeps nothing usable with a TTL of 0", () => {
    const { cache, observe, usable } = create({ ttlMs: 0, refusalTtlMs: 0 });
    cache.put(digest(1), observe(token(1)));
    cache.put(digest(2), observe(undefined));
    expect(usable(1)).toBe(false);
    expect(cache.refused(digest(2))).toBeUndefined();
  });

  it("forgets by id, by machine and altogether, without touching the rest", () => {
    const { cache, observe, usable, clock } = create({ maxKnown: 10 });
    for (const n of [1, 2, 3]) cache.put(digest(n), observe(token(n, { subject: n === 3 ? REPORTS : BILLING })));
    cache.invalidate({ tokenId: tokenId(1) });
    expect([1, 2, 3].map(usable)).toEqual([false, true, true]);
    cache.invalidate({ subject: REPORTS });
    expect([1, 2, 3].map(usable)).toEqual([false, true, false]);
    clock.advance(1);
    cache.put(digest(1), observe(token(1)));
    expect(usable(1)).toBe(true);
    cache.invalidate({ all: true });
    expect(cache.knownCount + cache.refusedCount).toBe(0);
  });

  it("takes no observation that was begun before an invalidation", () => {
    const { cache, observe, clock } = create();
    const [early, earlyRefusal] = [observe(token(1)), observe(undefined)];
    cache.invalidate({ tokenId: tokenId(1) });
    cache.put(digest(1), early);
    expect(cache.known(digest(1))).toBeUndefined();
    clock.advance(5);
    cache.invalidate({ all: true });
    cache.put(digest(2), earlyRefusal);
    expect(cache.refused(digest(2))).toBeUndefined();
  });

  it("does not let an older observation that others shared decide after everything was invalidated", () => {
    const { cache, observe, clock } = create();
    const shared = observe(token(1));
    clock.advance(5);
    cache.invalidate({ all: true });
    expect(cache.isUsable(shared, clock.monotonicMs(), ANY_AGE)).toBe(false);
    clock.advance(5);
    expect(cache.isUsable(observe(token(1)), clock.monotonicMs(), ANY_AGE)).toBe(true);
  });

  it("bounds the list of invalidations by forgetting everything when there are too many", () => {
    const { cache, observe, usable, clock } = create();
    cache.put(digest(1), observe(token(1)));
    for (let n = 1_000; n < 101_000; n += 1) cache.invalidate({ tokenId: tokenId(n) });
    expect(usable(1)).toBe(true);
    cache.invalidate({ tokenId: tokenId(999_999) });
    expect(usable(1)).toBe(false);
    for (let n = 1_000; n < 100_000; n += 1) cache.invalidate({ tokenId: tokenId(n) });
    clock.advance(200_000);
    cache.put(digest(1), observe(token(1)));
    for (let n = 200_000; n < 290_000; n += 1) cache.invalidate({ tokenId: tokenId(n) });
    expect(usable(1)).toBe(true);
  });
});

describe("formOf", () => {
  it.each([
    ["mt_8XOIucKvqHVr5tYP123456789abcdefghij", "opaque"],
    ["eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtY2hfIn0.c2ln-_", "jwt"],
    ["mt_", undefined],
    ["eyJ.eyJ.", undefined],
    ["a.b.c.d", undefined],
    [`a.b.${"c".repeat(20_000)}`, undefined],
  ])("tells %.20s apart", (presented, form) => {
    expect(formOf(presented)).toBe(form);
  });
});

describe("jsonEquals", () => {
  const own = JSON.parse('{"__proto__": {"a": 1}}') as Json;
  it.each<[Json, Json, boolean]>([
    [{ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1, b: 2 }, { a: 1, c: 2 }, false],
    [[1, 2], [2, 1], false],
    [[1], [1, 2], false],
    [[], {}, false],
    [null, {}, false],
    ["1", 1, false],
    [own, {}, false],
    [own, own, true],
    [{ toString: 1 }, { valueOf: 1 }, false],
  ])("compares %j and %j", (a, b, equal) => {
    expect(jsonEquals(a, b)).toBe(equal);
    expect(jsonEquals(b, a)).toBe(equal);
  });
});
