import { beforeEach, describe, expect, it } from "vitest";
import { createDomain, type Domain } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { acquire, acquireRequest, HOUR_MS, minted } from "../../test/support/pool.ts";
import { secretOf } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import type { Json } from "./token.ts";

const MINUTE_MS = 60_000;
/** With a jitter of one half an hour's token is renewed with three tenths of its life left. */
const RENEW_MS = 0.7 * HOUR_MS;

describe("the token pool", () => {
  let domain: Domain;
  beforeEach(async () => {
    domain = await createDomain();
  });

  async function fill(n = 1, life: Parameters<typeof minted>[2] = {}) {
    const outcome = acquire(domain);
    domain.upstream.nextCreate().resolve(minted(domain, n, life));
    await settle();
    expect(outcome.secret).toBe(secretOf(n));
  }

  it("asks once for all who ask at once, and answers all who come later from memory without awaiting", async () => {
    const all = Array.from({ length: 1_000 }, () => acquire(domain));
    await settle();
    expect(domain.upstream.creates).toHaveLength(1);
    domain.upstream.nextCreate().resolve(minted(domain, 1));
    await settle();
    expect(new Set(all.map(({ secret }) => secret))).toEqual(new Set([secretOf(1)]));
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
    expect(domain.upstream.creates).toHaveLength(0);
    expect(domain.pool.counts).toMatchObject({ creations: 1, joined: 999, hits: 1, renewals: 0 });
  });

  it("lets one caller leave without ending the creation for others", async () => {
    const leaver = new AbortController();
    const first = acquire(domain, { signal: leaver.signal });
    const second = acquire(domain);
    leaver.abort();
    await settle();
    expect(first.error).toMatchObject({ reason: "CANCELED" });
    domain.upstream.nextCreate().resolve(minted(domain, 1));
    await settle();
    expect(second.secret).toBe(secretOf(1));
    expect(domain.upstream.abortedCount).toBe(0);
  });

  it("keeps what was minted for callers who have all left", async () => {
    const leaver = new AbortController();
    acquire(domain, { signal: leaver.signal });
    leaver.abort();
    await settle();
    domain.upstream.nextCreate().resolve(minted(domain, 1));
    await settle();
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
  });

  it("asks for nothing on behalf of a caller who has left already", () => {
    expect(() => domain.pool.acquire(acquireRequest({ signal: AbortSignal.abort() }))).toThrow("canceled");
    expect(domain.upstream.creates).toHaveLength(0);
  });

  describe("renews", () => {
    it("in the background at a part of the life, while the old token is handed out", async () => {
      await fill();
      domain.clock.advance(RENEW_MS - MINUTE_MS);
      acquire(domain);
      expect(domain.upstream.creates).toHaveLength(0);
      domain.clock.advance(MINUTE_MS + 1_000);
      expect(domain.upstream.creates).toHaveLength(1);
      expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
      domain.upstream.nextCreate().resolve(minted(domain, 2));
      await settle();
      expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(2) });
      expect(domain.pool.counts).toMatchObject({ creations: 1, renewals: 1 });
    });

    it("not what nobody has wanted for long, until somebody does", async () => {
      await fill();
      domain.clock.advance(RENEW_MS + MINUTE_MS);
      expect(domain.upstream.creates).toHaveLength(0);
      expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
      expect(domain.upstream.creates).toHaveLength(1);
    });

    it("and forgets what has ended, so that an idle pool holds nothing and does nothing", async () => {
      await fill();
      domain.clock.advance(HOUR_MS);
      expect(domain.pool.size).toBe(0);
      domain.clock.advance(HOUR_MS);
      expect(domain.clock.pendingTasks).toBe(0);
      expect(domain.upstream.creates).toHaveLength(0);
    });

    it("a token that never expires at the age that is set", async () => {
      await fill(1, { ttlMs: Number.POSITIVE_INFINITY });
      expect(domain.pool.acquire(acquireRequest({ minRemainingMs: 100 * HOUR_MS }))).toMatchObject({
        secret: secretOf(1),
      });
      domain.clock.advance(HOUR_MS - 1);
      expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
      domain.clock.advance(1);
      expect(acquire(domain).secret).toBeUndefined();
    });

    it("by jitter, with between two and four tenths of the life left", async () => {
      for (const [random, part] of [
        [0, 0.8],
        [0.999_999, 0.6],
      ] as const) {
        domain = await createDomain({ pool: { random: () => random } });
        await fill();
        domain.clock.advance(part * HOUR_MS - 2_000);
        acquire(domain);
        expect(domain.upstream.creates).toHaveLength(0);
        domain.clock.advance(4_000);
        expect(domain.upstream.creates).toHaveLength(1);
      }
    });
  });

  describe("hands out", () => {
    it("only what has as much life left as the caller needs", async () => {
      await fill();
      domain.clock.advance(10 * MINUTE_MS);
      const needy = acquire(domain, { minRemainingMs: 55 * MINUTE_MS });
      expect(domain.pool.acquire(acquireRequest({ minRemainingMs: 50 * MINUTE_MS }))).toMatchObject({
        secret: secretOf(1),
      });
      expect(domain.upstream.creates[0]?.request.minRemainingTtlSeconds).toBe(55 * 60);
      domain.upstream.nextCreate().resolve(minted(domain, 2));
      await settle();
      expect(needy.secret).toBe(secretOf(2));
    });

    it("nothing in its last minute to who does not say what is needed", async () => {
      await fill();
      domain.clock.advance(HOUR_MS - MINUTE_MS);
      expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
      domain.clock.advance(1);
      const outcome = acquire(domain);
      await settle();
      expect(outcome).toEqual({});
    });

    it("no expired token, whichever way the wall clock is set", async () => {
      await fill();
      domain.clock.jumpWall(-2 * HOUR_MS);
      domain.clock.advance(HOUR_MS - MINUTE_MS + 1);
      const later = acquire(domain);
      await settle();
      expect(later).toEqual({});
      domain.upstream.nextCreate().resolve(minted(domain, 2));
      await settle();
      domain.clock.jumpWall(HOUR_MS);
      const ahead = acquire(domain);
      await settle();
      expect(ahead).toEqual({});
    });

    it.each([
      ["another caller's", { identity: "spiffe://a" }, { identity: "spiffe://b" }],
      ["a named caller's", { identity: undefined }, { identity: "" }],
      ["another format's", { format: "opaque" }, { format: "jwt" }],
      ["another lifetime's", { ttlSeconds: 60 }, { ttlSeconds: undefined }],
      ["other claims'", { claims: { a: 1, b: 2 } }, { claims: { a: 1, b: "2" } }],
      ["no claims' for null", { claims: undefined }, { claims: null }],
      ["a list's for an object", { claims: [] }, { claims: {} }],
      ["an inherited name's", { claims: JSON.parse('{"__proto__":{"a":1}}') as Json }, { claims: {} }],
    ] as const)("no token of %s", async (_what, mine, others) => {
      acquire(domain, mine);
      domain.upstream.nextCreate().resolve(minted(domain, 1, { ttlMs: MINUTE_MS }));
      await settle();
      acquire(domain, others);
      expect(domain.upstream.creates).toHaveLength(1);
    });

    it("one token for claims that differ in the order of keys, and sends them as they are", async () => {
      acquire(domain, { claims: { b: [{ y: 1, x: 2 }], a: null } });
      expect(domain.upstream.creates[0]?.request.claims).toEqual({ a: null, b: [{ x: 2, y: 1 }] });
      domain.upstream.nextCreate().resolve(minted(domain, 1));
      await settle();
      const claims = { a: null, b: [{ x: 2, y: 1 }] };
      expect(domain.pool.acquire(acquireRequest({ claims }))).toMatchObject({ secret: secretOf(1) });
    });
  });

  it("refuses a need that no such token can meet, and pays for finding out once", async () => {
    const outcome = acquire(domain, { ttlSeconds: 60, minRemainingMs: MINUTE_MS });
    await settle();
    expect(outcome.error).toMatchObject({ reason: "ARGUMENT_INVALID" });
    const needy = acquire(domain, { minRemainingMs: 2 * HOUR_MS });
    domain.upstream.nextCreate().reject(new GatewayError("UPSTREAM_REJECTED_REQUEST", "no"));
    await settle();
    expect(domain.upstream.creates[0]?.request.minRemainingTtlSeconds).toBeUndefined();
    domain.upstream.nextCreate().resolve(minted(domain, 1));
    await settle();
    expect(needy.error).toMatchObject({ reason: "ARGUMENT_INVALID" });
    const again = acquire(domain, { minRemainingMs: 2 * HOUR_MS });
    await settle();
    expect(again.error).toMatchObject({ reason: "ARGUMENT_INVALID" });
    expect(domain.upstream.creates).toHaveLength(0);
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
  });

  it("keeps as many tokens as it may, the latest used, and refused claims push none of them out", async () => {
    domain = await createDomain({ pool: { maxTokens: 3 } });
    const hold = async (n: number) => {
      acquire(domain, { claims: n });
      domain.upstream.nextCreate().resolve(minted(domain, n));
      await settle();
    };
    for (const n of [1, 2, 3]) await hold(n);
    for (let n = 10; n < 30; n++) {
      acquire(domain, { claims: n });
      domain.upstream.nextCreate().reject(new GatewayError("UPSTREAM_REJECTED_REQUEST", "no"));
      await settle();
    }
    expect(domain.pool.acquire(acquireRequest({ claims: 1 }))).toMatchObject({ secret: secretOf(1) });
    await hold(4);
    expect(domain.pool.counts.evictions).toBe(1);
    expect(domain.pool.acquire(acquireRequest({ claims: 1 }))).toMatchObject({ secret: secretOf(1) });
    acquire(domain, { claims: 2 });
    expect(domain.upstream.creates).toHaveLength(1);
  });

  it("ends what is under way when it is closed, and asks for nothing more", async () => {
    const waiting = acquire(domain);
    domain.pool.close();
    await settle();
    expect(waiting.error).toMatchObject({ reason: "DRAINING" });
    expect(domain.upstream.abortedCount).toBe(1);
    domain.clock.advance(HOUR_MS);
    expect(domain.upstream.creates).toHaveLength(1);
  });
});
