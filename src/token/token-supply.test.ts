import { describe, expect, it } from "vitest";
import { createDomain, type Domain } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { acquire, acquireRequest, HOUR_MS, minted } from "../../test/support/pool.ts";
import { secretOf } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";

const MINUTE_MS = 60_000;

async function fill(domain: Domain, n: number) {
  const outcome = acquire(domain);
  domain.upstream.nextCreate().resolve(minted(domain, n));
  await settle();
  expect(outcome.secret).toBe(secretOf(n));
}

describe("tokens that replicas share", () => {
  it("are asked for with half a life, so that what another replica renewed is taken and nothing is minted", async () => {
    const domain = await createDomain();
    await fill(domain, 1);
    domain.clock.advance(0.7 * HOUR_MS);
    acquire(domain);
    const renewal = domain.upstream.nextCreate();
    expect(renewal.request.minRemainingTtlSeconds).toBe(1_800);
    renewal.resolve(minted(domain, 2, { agoMs: HOUR_MS / 10 }));
    await settle();
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(2) });
    domain.clock.advance(0.6 * HOUR_MS - 1_000);
    acquire(domain);
    expect(domain.upstream.creates).toHaveLength(0);
    domain.clock.advance(2_000);
    expect(domain.upstream.creates).toHaveLength(1);
  });

  it.each([
    ["is about to end", { agoMs: HOUR_MS - 10_000 }, {}],
    ["lives longer than was asked for", { ttlMs: HOUR_MS }, { ttlSeconds: 600 }],
    ["never ends and is old", { ttlMs: Number.POSITIVE_INFINITY, agoMs: 2 * HOUR_MS }, {}],
  ])("are not taken when the one that the upstream gives %s: one is minted", async (_what, life, wanted) => {
    const domain = await createDomain();
    const waiting = acquire(domain, wanted);
    expect(domain.upstream.creates[0]?.request.minRemainingTtlSeconds).toBeGreaterThan(0);
    domain.upstream.nextCreate().resolve(minted(domain, 1, life));
    await settle();
    expect(waiting).toEqual({});
    expect(domain.upstream.creates[0]?.request.minRemainingTtlSeconds).toBeUndefined();
    domain.upstream.nextCreate().resolve(minted(domain, 2, { ttlMs: 600_000 }));
    await settle();
    expect(waiting.secret).toBe(secretOf(2));
  });

  it("are minted where the upstream refuses the life that was asked for: a shared one may live longer than new ones", async () => {
    const domain = await createDomain();
    acquire(domain);
    domain.upstream.nextCreate().resolve(minted(domain, 1, { ttlMs: 10 * HOUR_MS, agoMs: HOUR_MS / 2 }));
    await settle();
    domain.clock.advance(HOUR_MS / 2 - MINUTE_MS);
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
    const renewal = domain.upstream.nextCreate();
    expect(renewal.request.minRemainingTtlSeconds).toBe(9.5 * 3_600);
    renewal.reject(new GatewayError("UPSTREAM_REJECTED_REQUEST", "must be less than the lifetime"));
    await settle();
    expect(domain.upstream.creates[0]?.request.minRemainingTtlSeconds).toBeUndefined();
    domain.upstream.nextCreate().resolve(minted(domain, 2));
    await settle();
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(2) });
  });

  it.each([
    ["a JWT", { format: "jwt" }],
    ["a token for one caller alone", { identity: "spiffe://a" }],
  ] as const)("are not asked for when the caller wants %s", async (_what, wanted) => {
    const domain = await createDomain();
    acquire(domain, wanted);
    expect(domain.upstream.nextCreate().request.minRemainingTtlSeconds).toBeUndefined();
  });

  it("that have ended as they come are an error about clocks, not an endless series of creations", async () => {
    const domain = await createDomain();
    const waiting = acquire(domain, { format: "jwt" });
    domain.clock.jumpWall(2 * HOUR_MS);
    domain.upstream.nextCreate().resolve(minted(domain, 1, { format: "jwt", agoMs: 2 * HOUR_MS }));
    await settle();
    expect(waiting.error).toMatchObject({ reason: "TOKEN_UNSURE", message: expect.stringContaining("clocks") });
    expect(domain.upstream.creates).toHaveLength(0);
  });

  it("that are JWTs are dated as they date themselves, in whole seconds, so that no watermark misses them", async () => {
    const domain = await createDomain();
    const waiting = acquire(domain, { format: "jwt" });
    const createdAtMs = 1_700_000_000_999;
    domain.upstream.nextCreate().resolve(minted(domain, 1, { format: "jwt", createdAtMs }));
    await settle();
    expect(waiting.token?.createdAtMs).toBe(1_700_000_000_000);
  });
});
