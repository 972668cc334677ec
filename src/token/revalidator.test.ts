import { describe, expect, it } from "vitest";
import { createDomain, type Domain, type DomainOptions, TTL_MS, verifyRequest } from "../../test/support/domain.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { goodClaims, makeIssuerKey, mint, RULES } from "../../test/support/jwts.ts";
import { BILLING, secretOf, token, tokenId } from "../../test/support/tokens.ts";
import { Budget } from "./budget.ts";
import type { ListTokens, SigningKeys, TokenPage, VerdictStore } from "./ports.ts";
import { Revalidator } from "./revalidator.ts";
import { Sweeper } from "./sweeper.ts";
import type { Token } from "./token.ts";

const SECRET = secretOf(1);
const HOT_MS = 0.75 * TTL_MS;
/** A key that cannot be had: the upstream decides. */
const NO_KEYS: SigningKeys = { find: () => undefined, reach: async () => false };

async function createHot(store?: VerdictStore, perSecond = 5, options: DomainOptions = {}) {
  const clock = new FakeClock();
  let revalidator: Revalidator | undefined;
  const domain = await createDomain({
    ...options,
    clock,
    ...(store === undefined ? {} : { store }),
    revalidator: ({ recorder, revocations }) => {
      const budget = new Budget({ clock, perSecond, perDay: 1_000 });
      revalidator = new Revalidator({ store, recorder, revocations, clock, budget, ttlMs: TTL_MS });
      return revalidator;
    },
  });
  await verify(domain, token(1));
  if (revalidator === undefined) throw new Error("no revalidator");
  return { ...domain, revalidator };
}

async function verify(domain: Pick<Domain, "verifier" | "upstream">, answer?: Token | "refused") {
  const verification = domain.verifier.verify(verifyRequest(SECRET));
  if (answer !== undefined) domain.upstream.nextVerify().resolve(answer === "refused" ? undefined : answer);
  return await verification;
}

/** Has another token known. */
async function know(domain: Pick<Domain, "verifier" | "upstream">, n: number): Promise<void> {
  const verification = domain.verifier.verify(verifyRequest(secretOf(n)));
  domain.upstream.nextVerify().resolve(token(n));
  await verification;
}

describe("Revalidator", () => {
  it("renews a hot verdict before it expires, and nobody waits for it", async () => {
    const domain = await createHot();
    domain.clock.advance(HOT_MS);
    for (let use = 0; use < 10; use += 1) expect(await verify(domain)).toMatchObject({ source: "memory" });
    await settle();
    expect(domain.upstream.verifies).toHaveLength(1);
    domain.upstream.nextVerify().resolve(token(1));
    await settle();
    domain.clock.advance(TTL_MS - 1);
    expect(await verify(domain)).toMatchObject({ verdict: "valid", source: "memory" });
    expect(domain.revalidator.renewals).toBe(1);
  });

  it("asks once though the token was packed in between, and counts its uses from before", async () => {
    const domain = await createHot(undefined, 5, { maxObjects: 1 });
    await know(domain, 2);
    domain.clock.advance(HOT_MS);
    for (let use = 0; use < 10; use += 1) {
      expect(await verify(domain)).toMatchObject({ source: "memory" });
      domain.verifier.recall(secretOf(2));
    }
    await settle();
    expect(domain.upstream.verifies.filter(({ secret }) => secret === SECRET)).toHaveLength(1);
    // Each is hot by now, and was asked about once.
    expect(domain.revalidator.renewals).toBe(2);
  });

  it("asks once about a JWT that many wait to have checked, though it is packed meanwhile", async () => {
    const jwts = { keys: NO_KEYS, rules: RULES };
    const domain = await createHot(undefined, 50, { maxObjects: 1, jwts });
    const jwt = await mint(makeIssuerKey(), goodClaims(3));
    const ask = () => domain.verifier.verify(verifyRequest(jwt));
    const first = ask();
    await settle();
    domain.upstream.nextVerify().resolve(token(3, { format: "jwt" }));
    expect(await first).toMatchObject({ verdict: "valid", source: "upstream" });
    domain.clock.advance(HOT_MS);
    const asked = Array.from({ length: 5 }, () => {
      const answer = ask();
      domain.verifier.recall(SECRET);
      return answer;
    });
    for (const answer of asked) expect(await answer).toMatchObject({ verdict: "valid", source: "memory" });
    await settle();
    expect(domain.upstream.verifies.filter(({ secret }) => secret === jwt)).toHaveLength(1);
    expect(domain.revalidator.renewals).toBe(2);
  });

  it("leaves alone what is used once or still young", async () => {
    const domain = await createHot();
    for (let use = 0; use < 10; use += 1) await verify(domain);
    const cold = await createHot();
    cold.clock.advance(HOT_MS);
    await verify(cold);
    await settle();
    expect(domain.upstream.verifies).toHaveLength(0);
    expect(cold.upstream.verifies).toHaveLength(0);
  });

  it("stays within its budget", async () => {
    const domain = await createHot(undefined, 0);
    domain.clock.advance(HOT_MS);
    for (let use = 0; use < 5; use += 1) await verify(domain);
    await settle();
    expect(domain.upstream.verifies).toHaveLength(0);
  });

  it("lets one replica ask for all, and takes over what that one learned", async () => {
    const claims: string[] = [];
    const store: VerdictStore = {
      claim: async (what) => {
        claims.push(what);
        return false;
      },
      get: async () => ({
        token: token(1),
        observedAtMonotonicMs: clock.monotonicMs(),
        observedAtMs: clock.wallMs(),
        uses: 0,
      }),
      put: () => undefined,
    };
    const domain = await createHot();
    const { clock } = domain;
    const shared = await createDomain({
      clock,
      store,
      revalidator: ({ recorder, revocations }) =>
        new Revalidator({
          store,
          recorder,
          revocations,
          clock,
          budget: new Budget({ clock, perSecond: 5, perDay: 5 }),
          ttlMs: TTL_MS,
        }),
    });
    await shared.verifier.verify(verifyRequest(SECRET));
    clock.advance(HOT_MS);
    for (let use = 0; use < 3; use += 1) await shared.verifier.verify(verifyRequest(SECRET));
    await settle();
    clock.advance(1_000);
    await settle();
    clock.advance(TTL_MS - HOT_MS);
    expect(await shared.verifier.verify(verifyRequest(SECRET))).toMatchObject({ source: "memory" });
    expect(shared.upstream.verifyCount).toBe(0);
    expect(claims).toEqual([SECRET]);
  });

  it("makes a fact of a known token that the upstream refuses twice", async () => {
    const domain = await createHot();
    domain.clock.advance(TTL_MS);
    expect(await verify(domain, "refused")).toMatchObject({ verdict: "invalid" });
    expect(domain.revocations.liveCount).toBe(0);
    domain.clock.advance(250);
    await settle();
    domain.upstream.nextVerify().resolve(undefined);
    await settle();
    expect(domain.revocations.find(tokenId(1))).toMatchObject({ source: "observed" });
    expect(domain.revalidator.discovered).toBe(1);
  });

  it("makes none of a refusal that was a mistake, of an expiring token, or of one that nobody knew", async () => {
    const mistaken = await createHot();
    mistaken.clock.advance(TTL_MS);
    await verify(mistaken, "refused");
    mistaken.clock.advance(250);
    await settle();
    mistaken.upstream.nextVerify().resolve(token(1));
    await settle();
    expect(mistaken.revocations.liveCount).toBe(0);

    const expiring = await createHot();
    expiring.clock.advance(TTL_MS);
    await verify(expiring, token(1, { expiresAtMs: expiring.clock.wallMs() + TTL_MS + 100 }));
    expiring.clock.advance(TTL_MS);
    await verify(expiring, "refused");
    expiring.clock.advance(250);
    await settle();
    expect(expiring.upstream.verifies).toHaveLength(0);
  });
});

describe("Budget", () => {
  it("allows a second's worth at once, refills, and ends with the day", () => {
    const clock = new FakeClock();
    const budget = new Budget({ clock, perSecond: 2, perDay: 5 });
    const take = (times: number) => Array.from({ length: times }, () => budget.take()).filter(Boolean).length;
    expect(take(5)).toBe(2);
    clock.advance(1_000);
    expect(take(5)).toBe(2);
    clock.advance(10_000);
    expect(take(5)).toBe(1);
    clock.advance(86_400_000);
    expect(take(5)).toBe(2);
    expect(budget.refused).toBeGreaterThan(0);
  });
});

describe("Sweeper", () => {
  it("makes facts of revocations made elsewhere, page by page, and of recent ones only", async () => {
    const domain = await createDomain();
    const nowMs = domain.clock.wallMs();
    const revoked = Array.from({ length: 150 }, (_, n) =>
      token(n, { revoked: n % 2 === 0, updatedAtMs: n === 0 ? nowMs - 7_200_000 : nowMs }),
    );
    const asked: ListTokens[] = [];
    const listTokens = async (request: ListTokens): Promise<TokenPage> => {
      asked.push(request);
      const tokens = revoked.slice(request.offset, request.offset + request.limit);
      return { tokens, totalCount: revoked.length };
    };
    const errors: unknown[] = [];
    const sweeper = new Sweeper({
      upstream: Object.assign(domain.upstream, { listTokens }),
      store: undefined,
      recorder: domain.recorder,
      revocations: domain.revocations,
      clock: domain.clock,
      intervalMs: 60_000,
      retentionMs: 3_600_000,
      onError: (error) => errors.push(error),
    });
    sweeper.seen(BILLING);
    sweeper.start();
    domain.clock.advance(60_000);
    await settle();
    expect(asked.map(({ offset }) => offset)).toEqual([0, 100]);
    expect(domain.revocations.liveCount).toBe(74);
    expect(domain.revocations.find(tokenId(2))).toMatchObject({ source: "reconciled", subject: BILLING });
    domain.clock.advance(60_000);
    await settle();
    expect(sweeper.discovered).toBe(74);
    sweeper.close();
    domain.clock.advance(600_000);
    await settle();
    expect(asked).toHaveLength(4);
    expect(errors).toEqual([]);
  });

  it("leaves to another replica what that one has claimed, and goes on after a listing that failed", async () => {
    const domain = await createDomain();
    const claimed: string[] = [];
    const errors: unknown[] = [];
    const store: VerdictStore = {
      claim: async (what) => claimed.push(what) > 1,
      get: async () => undefined,
      put: () => undefined,
    };
    const listTokens = () => Promise.reject(new Error("away"));
    const sweeper = new Sweeper({
      upstream: Object.assign(domain.upstream, { listTokens }),
      store,
      recorder: domain.recorder,
      revocations: domain.revocations,
      clock: domain.clock,
      intervalMs: 60_000,
      retentionMs: 3_600_000,
      onError: (error) => errors.push(error),
    });
    sweeper.seen(BILLING);
    await sweeper.sweep();
    expect(errors).toHaveLength(0);
    await sweeper.sweep();
    expect(errors).toHaveLength(1);
    sweeper.close();
    await sweeper.sweep();
    expect(claimed).toEqual([`sweep ${BILLING}`, `sweep ${BILLING}`]);
  });
});

describe("Revalidator, closed", () => {
  it("begins nothing more", async () => {
    const domain = await createHot();
    domain.revalidator.close();
    domain.clock.advance(HOT_MS);
    for (let use = 0; use < 5; use += 1) await verify(domain);
    domain.clock.advance(TTL_MS);
    await verify(domain, "refused");
    domain.clock.advance(250);
    await settle();
    expect(domain.upstream.verifies).toHaveLength(0);
  });
});
