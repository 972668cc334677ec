import { describe, expect, it } from "vitest";
import { BOUND_MS, createDomain, type Domain, FlakyLog } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { acquire, acquireRequest, HOUR_MS, minted } from "../../test/support/pool.ts";
import { secretOf, token, tokenId } from "../../test/support/tokens.ts";

const SIGNAL = new AbortController().signal;

async function fill(domain: Domain, n: number) {
  const outcome = acquire(domain);
  domain.upstream.nextCreate().resolve(minted(domain, n));
  await settle();
  expect(outcome.secret).toBe(secretOf(n));
}

/** Revokes to the end, so that the fact is in the log and applied. */
async function revoke({ revoker, upstream }: Domain, n: number) {
  const revoking = revoker.revoke({ target: { tokenId: tokenId(n) }, reason: "", wait: "replica", signal: SIGNAL });
  await settle();
  upstream.nextRevoke().resolve(token(n, { revoked: true }));
  await revoking;
}

describe("a revoked token of the pool", () => {
  it("is handed out to nobody once its revocation is applied, and its place is refilled at once", async () => {
    const domain = await createDomain();
    await fill(domain, 1);
    await revoke(domain, 1);
    await settle();
    expect(domain.upstream.creates).toHaveLength(1);
    const waiting = acquire(domain);
    await settle();
    expect(waiting).toEqual({});
    domain.upstream.nextCreate().resolve(minted(domain, 2));
    await settle();
    expect(waiting.secret).toBe(secretOf(2));
    expect(domain.pool.counts).toMatchObject({ creations: 1, renewals: 1, joined: 1 });
  });

  it("is not handed out from the instant at which this process knows, before the log has told", async () => {
    const domain = await createDomain();
    await fill(domain, 1);
    domain.revocations.learn(domain.recorder.factOf(token(1), "api"));
    expect(acquire(domain)).toEqual({});
    expect(domain.upstream.creates).toHaveLength(1);
  });

  it("is not refilled where nobody has wanted it for long", async () => {
    const domain = await createDomain();
    await fill(domain, 1);
    domain.clock.advance(HOUR_MS / 2);
    await revoke(domain, 1);
    await settle();
    expect(domain.upstream.creates).toHaveLength(0);
    expect(domain.pool.size).toBe(0);
  });

  it("goes to none of those who wait for it when it is revoked while it is being created", async () => {
    const domain = await createDomain();
    const waiting = [acquire(domain), acquire(domain)];
    const creation = domain.upstream.nextCreate();
    const late = minted(domain, 1);
    await revoke(domain, 1);
    waiting.push(acquire(domain));
    creation.resolve(late);
    await settle();
    expect(waiting).toEqual([{}, {}, {}]);
    // The upstream must not be content with a token that it still takes for good.
    expect(domain.upstream.creates[0]?.request.minRemainingTtlSeconds).toBeUndefined();
    domain.upstream.nextCreate().resolve(minted(domain, 2));
    await settle();
    expect(waiting.map(({ secret }) => secret)).toEqual([secretOf(2), secretOf(2), secretOf(2)]);
  });

  it("goes to none of those who wait when the fact comes in the same turn as the token", async () => {
    const domain = await createDomain();
    const waiting = acquire(domain);
    domain.upstream.nextCreate().resolve(minted(domain, 1));
    domain.revocations.learn(domain.recorder.factOf(token(1), "api"));
    await settle();
    expect(waiting).toEqual({});
    expect(domain.upstream.creates).toHaveLength(1);
  });

  it("that the upstream itself calls revoked or expired is not handed out", async () => {
    for (const flag of [{ revoked: true }, { expired: true }]) {
      const domain = await createDomain();
      const waiting = acquire(domain);
      domain.upstream.nextCreate().resolve(minted(domain, 1, flag));
      await settle();
      expect(waiting).toEqual({});
      expect(domain.upstream.creates).toHaveLength(1);
    }
  });

  it("costs a bounded number of creations when all that the upstream gives are revoked as they come", async () => {
    const domain = await createDomain();
    const waiting = acquire(domain);
    for (let n = 1; n <= 3; n++) {
      domain.revocations.learn(domain.recorder.factOf(token(n), "api"));
      domain.upstream.nextCreate().resolve(minted(domain, n));
      await settle();
    }
    expect(waiting.error).toMatchObject({ reason: "TOKEN_UNSURE" });
    const again = acquire(domain);
    await settle();
    expect(again.error).toMatchObject({ reason: "TOKEN_UNSURE" });
    expect(domain.upstream.creates).toHaveLength(0);
  });

  it("that is a JWT is asked for again in the next second: a watermark covers the one that it fell in", async () => {
    const domain = await createDomain();
    const waiting = acquire(domain, { format: "jwt" });
    domain.revocations.learn(domain.recorder.factOf(token(1), "api"));
    domain.upstream.nextCreate().resolve(minted(domain, 1, { format: "jwt" }));
    await settle();
    expect(domain.upstream.creates).toHaveLength(0);
    domain.clock.advance(1_000);
    await settle();
    domain.upstream.nextCreate().resolve(minted(domain, 2, { format: "jwt" }));
    await settle();
    expect(waiting.secret).toBe(secretOf(2));
  });
});

describe("without a log that can be followed", () => {
  async function cutOff(format: "opaque" | "jwt" = "opaque") {
    const logs: FlakyLog[] = [];
    const log = (clock: ConstructorParameters<typeof FlakyLog>[0]) => {
      const made = new FlakyLog(clock);
      logs.push(made);
      return made;
    };
    const domain = await createDomain({ log });
    const first = acquire(domain, { format });
    domain.upstream.nextCreate().resolve(minted(domain, 1, { format }));
    await settle();
    expect(first.secret).toBe(secretOf(1));
    const [flaky] = logs;
    if (flaky !== undefined) flaky.reachable = false;
    return { domain, flaky };
  }

  it("an opaque token is handed out up to the bound, then only when the upstream gives it again", async () => {
    const { domain } = await cutOff();
    domain.clock.advance(BOUND_MS - 1);
    expect(domain.pool.acquire(acquireRequest())).toMatchObject({ secret: secretOf(1) });
    for (let round = 0; round < 2; round++) {
      domain.clock.advance(2);
      const waiting = acquire(domain);
      await settle();
      expect(waiting).toEqual({});
      const creation = domain.upstream.nextCreate();
      expect(creation.request.minRemainingTtlSeconds).toBe(1);
      creation.resolve(minted(domain, 1, { agoMs: BOUND_MS }));
      await settle();
      expect(waiting.secret).toBe(secretOf(1));
    }
  });

  it("a token is asked for again even where it is for one caller alone, instead of minting one for every call", async () => {
    const { domain } = await cutOff();
    domain.clock.advance(BOUND_MS + 1);
    acquire(domain, { identity: "spiffe://a" });
    expect(domain.upstream.nextCreate().request.minRemainingTtlSeconds).toBe(1);
  });

  it("nobody joins a creation that began before: what it gives may have been revoked before the call", async () => {
    const { domain } = await cutOff();
    domain.clock.advance(BOUND_MS + 1);
    const early = [acquire(domain), acquire(domain)];
    const creation = domain.upstream.nextCreate();
    domain.clock.advance(1);
    const late = [acquire(domain), acquire(domain)];
    await settle();
    creation.resolve(minted(domain, 2));
    await settle();
    expect(early.map(({ secret }) => secret)).toEqual([secretOf(2), secretOf(2)]);
    expect(late).toEqual([{}, {}]);
    domain.upstream.nextCreate().resolve(minted(domain, 3));
    await settle();
    expect(late.map(({ secret }) => secret)).toEqual([secretOf(3), secretOf(3)]);
    expect(domain.upstream.creates).toHaveLength(0);
  });

  it("a caller who came while it could be followed takes what was asked for before the call", async () => {
    const { domain } = await cutOff();
    const waiting = [acquire(domain, { claims: 1 })];
    domain.clock.advance(BOUND_MS / 2);
    waiting.push(acquire(domain, { claims: 1 }));
    domain.clock.advance(BOUND_MS);
    domain.upstream.nextCreate().resolve(minted(domain, 2));
    await settle();
    expect(waiting.map(({ secret }) => secret)).toEqual([secretOf(2), secretOf(2)]);
  });

  it("a JWT is given to nobody, and none is minted", async () => {
    const { domain, flaky } = await cutOff("jwt");
    domain.clock.advance(BOUND_MS + 2);
    const refused = acquire(domain, { format: "jwt" });
    await settle();
    expect(refused.error).toMatchObject({ reason: "TOKEN_UNSURE" });
    domain.clock.advance(HOUR_MS / 2);
    expect(domain.upstream.creates).toHaveLength(0);
    if (flaky !== undefined) flaky.reachable = true;
    await domain.feed.refresh();
    expect(domain.pool.acquire(acquireRequest({ format: "jwt" }))).toMatchObject({ secret: secretOf(1) });
  });

  it("what was asked for before the log started over is not handed out after it", async () => {
    const domain = await createDomain();
    await fill(domain, 1);
    domain.clock.advance(1);
    const waiting = acquire(domain, { minRemainingMs: HOUR_MS });
    const creation = domain.upstream.nextCreate();
    domain.clock.advance(1);
    domain.pool.distrust();
    domain.clock.advance(1);
    creation.resolve(minted(domain, 2, { ttlMs: 2 * HOUR_MS }));
    const later = acquire(domain);
    await settle();
    expect([waiting, later]).toEqual([{}, {}]);
    domain.upstream.nextCreate().resolve(minted(domain, 3, { ttlMs: 2 * HOUR_MS }));
    await settle();
    expect([waiting.secret, later.secret]).toEqual([secretOf(3), secretOf(3)]);
  });
});
