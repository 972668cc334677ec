import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";

const VERIFY = "m2m_tokens.verify";

describe("a revocation that overtakes a verification", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture();
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  /** Begins a verification that the upstream carries out now and answers late. */
  async function beginLateVerify(secret: string) {
    const usedAtMs = () => fixture.emulator.control.tokens().find((token) => token.secret === secret)?.lastUsedAtMs;
    const before = usedAtMs();
    fixture.emulator.control.clock.advance(1);
    fixture.emulator.control.faults.add({ route: VERIFY, answer_latency_ms: 600, count: 1 });
    const answer = fixture.tokens.verifyToken({ token: secret, maxAge: {} });
    await until(() => usedAtMs() !== before);
    return { answer };
  }

  it.each([
    ["by id", (id: string) => ({ case: "tokenId", value: id }) as const],
    ["by the secret", (_id: string, secret: string) => ({ case: "token", value: secret }) as const],
  ])("makes the late VALID a REVOKED, revoked %s", async (_how, targetOf) => {
    const { id, secret } = await fixture.mint();
    await fixture.tokens.verifyToken({ token: secret });
    const late = await beginLateVerify(secret);
    await fixture.tokens.revokeToken({ target: targetOf(id, secret) });
    expect(await late.answer).toMatchObject({
      verdict: Verdict.REVOKED,
      source: Source.FACT,
      token: { id, revoked: true },
    });
    const after = await fixture.tokens.verifyToken({ token: secret });
    expect(after).toMatchObject({ verdict: Verdict.REVOKED, source: Source.FACT });
  });

  it("is seen by those who join the verification after it", async () => {
    const { id, secret } = await fixture.mint();
    const late = await beginLateVerify(secret);
    await fixture.tokens.revokeToken({ target: { case: "tokenId", value: id } });
    const joined = await Promise.all(Array.from({ length: 50 }, () => fixture.tokens.verifyToken({ token: secret })));
    expect(joined.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 50 }, () => Verdict.REVOKED));
    expect((await late.answer).verdict).toBe(Verdict.REVOKED);
  });
});

const TOKENS = 200;
const VERIFIES_EACH = 5;
const SEED = 20_261_123;
const LANES = 64;

describe("random verifies and revokes", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture({
      // Upstream lags far behind its own revocations: every VALID that the gateway lets through shows.
      emulator: { switches: { revoke_propagation_ms: 3_600_000 } },
      // Hundreds of calls at once, and the upstream is in this process too: none fails for being slow.
      env: { CLERK_TIMEOUT_MS: "60000", CLERK_ATTEMPT_TIMEOUT_MS: "60000", GATEWAY_SHED_DELAY_MS: "0" },
    });
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  it("answer VALID to none that began after the revocation of its token was acknowledged", async () => {
    const random = seededRandom(SEED);
    const minted = await Promise.all(Array.from({ length: TOKENS }, () => fixture.mint()));
    const steps = shuffled(
      minted.flatMap((token) => [
        { token, kind: "revoke" as const },
        ...Array.from({ length: VERIFIES_EACH }, () => ({ token, kind: "verify" as const })),
      ]),
      random,
    );
    const acknowledged = new Set<string>();
    const count = { validBefore: 0, after: 0, validAfter: 0 };

    const verify = async ({ id, secret }: { id: string; secret: string }) => {
      const begunAfter = acknowledged.has(id);
      const maxAge = random() < 0.5 ? {} : { maxAge: { seconds: 0n, nanos: 0 } };
      const { verdict } = await fixture.tokens.verifyToken({ token: secret, ...maxAge });
      if (begunAfter) count.after += 1;
      if (verdict === Verdict.VALID) count[begunAfter ? "validAfter" : "validBefore"] += 1;
    };
    const revoke = async ({ id }: { id: string }) => {
      await fixture.tokens.revokeToken({ target: { case: "tokenId", value: id } });
      acknowledged.add(id);
    };
    const lane = async () => {
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        const latency = Math.floor(random() * 12);
        fixture.emulator.control.faults.add({ id: "lag", route: VERIFY, answer_latency_ms: latency });
        if (random() < 0.02) await fixture.gateway.invalidateCache({ target: { case: "all", value: true } });
        await (step.kind === "verify" ? verify(step.token) : revoke(step.token));
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    await Promise.all(minted.map(verify));

    expect(count.validAfter).toBe(0);
    expect(acknowledged.size).toBe(TOKENS);
    expect(count.after).toBeGreaterThan(TOKENS);
    expect(count.validBefore).toBeGreaterThan(TOKENS);
  });
});

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
