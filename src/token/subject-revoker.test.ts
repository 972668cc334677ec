import { beforeAll, describe, expect, it } from "vitest";
import { CLOCK_SKEW_MS, createDomain, LONGEST_JWT_MS, verifyRequest } from "../../test/support/domain.ts";
import { type FakeClock, settle } from "../../test/support/fake-clock.ts";
import { goodClaims, makeIssuerKey, mint, NOW_S, RULES } from "../../test/support/jwts.ts";
import { ListingUpstream } from "../../test/support/listing-upstream.ts";
import { BILLING, REPORTS, secretOf, token, tokenId } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import { FixedKey } from "./signing-keys.ts";
import type { SubjectProgress } from "./subject-revoker.ts";
import type { TokenSecret } from "./token.ts";

const KEY = makeIssuerKey();
const NOW_MS = NOW_S * 1000;
let mintedNow: TokenSecret;
let mintedLater: TokenSecret;

beforeAll(async () => {
  mintedNow = await mint(KEY, goodClaims(1, { iat: NOW_S }));
  mintedLater = await mint(KEY, goodClaims(2, { iat: NOW_S + 6 }));
});

/** Lets time pass until `work` is done. */
async function passing<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await settle();
    clock.advance(500);
  }
  return await done;
}

async function create(tokens = 0) {
  const upstream = new ListingUpstream(
    Array.from({ length: tokens }, (_, n) => token(n + 10, { createdAtMs: NOW_MS - 1_000 - n })),
  );
  const domain = await createDomain({ upstream, jwts: { keys: new FixedKey(KEY.publicKey), rules: RULES } });
  const revoke = async (issuedBeforeMs?: number) => {
    const { signal } = new AbortController();
    const request = { subject: BILLING, issuedBeforeMs, reason: "leaked", wait: "replica" as const, signal };
    const steps: SubjectProgress[] = [];
    for await (const step of domain.subjectRevoker.revokeSubject(request)) steps.push(step);
    return steps;
  };
  const verdictOn = async (presented: string) => (await domain.verifier.verify(verifyRequest(presented))).verdict;
  return { ...domain, upstream, revoke, verdictOn };
}

describe("revoking a machine", () => {
  it("refuses every JWT that was acceptable, and none that is minted once the watermark has passed", async () => {
    const { revoke, verdictOn, clock } = await create();
    const acceptable = await mint(KEY, goodClaims(3, { iat: NOW_S + CLOCK_SKEW_MS / 1000 }));
    expect([await verdictOn(mintedNow), await verdictOn(acceptable)]).toEqual(["valid", "valid"]);
    const [watermark] = await revoke();
    expect(watermark).toMatchObject({ kind: "watermark", issuedBeforeMs: NOW_MS + CLOCK_SKEW_MS + 1_000 });
    expect([await verdictOn(mintedNow), await verdictOn(acceptable)]).toEqual(["revoked", "revoked"]);
    clock.advance(6_000);
    expect(await verdictOn(mintedLater)).toBe("valid");
  });

  it("counts a JWT as minted at the beginning of the second that it names", async () => {
    const { revoke, verdictOn } = await create();
    await revoke(NOW_MS);
    expect(await verdictOn(mintedNow)).toBe("valid");
    await revoke(NOW_MS + 1);
    expect(await verdictOn(mintedNow)).toBe("revoked");
  });

  it("refuses cached opaque tokens of the machine at once, and those of no other", async () => {
    const { revoke, verifier } = await withCachedTokens();
    expect(await verdicts()).toEqual(["valid", "valid"]);
    await revoke();
    expect(await verdicts()).toEqual(["revoked", "valid"]);

    async function verdicts() {
      const answers = [secretOf(11), secretOf(12)].map((secret) => verifier.verify(verifyRequest(secret)));
      return (await Promise.all(answers)).map(({ verdict }) => verdict);
    }
  });

  it("never moves a watermark back, and says where it stands", async () => {
    const { revoke, verdictOn, log, revocations } = await create();
    await revoke(NOW_MS + 5_000);
    const [watermark] = await revoke(NOW_MS - 60_000);
    expect(watermark).toMatchObject({ issuedBeforeMs: NOW_MS + 5_000 });
    expect(await verdictOn(mintedNow)).toBe("revoked");
    expect((await log.read(undefined, new AbortController().signal)).entries).toHaveLength(1);
    expect(revocations.liveCount).toBe(1);
  });

  it("refuses an instant in the future", async () => {
    const { revoke } = await create();
    await expect(revoke(NOW_MS + CLOCK_SKEW_MS + 2_000)).rejects.toMatchObject({ reason: "ARGUMENT_INVALID" });
  });

  it("revokes its opaque tokens upstream page by page, tells how far it is, and finds nothing the second time", async () => {
    const { revoke, upstream } = await create(250);
    const steps = await revoke();
    expect(steps.map(({ kind }) => kind)).toEqual(["watermark", "progress", "progress", "progress", "summary"]);
    expect(steps.slice(1)).toEqual([
      { kind: "progress", revoked: 100, remaining: 150 },
      { kind: "progress", revoked: 200, remaining: 50 },
      { kind: "progress", revoked: 250, remaining: 0 },
      { kind: "summary", revoked: 250, incompleteReason: undefined },
    ]);
    expect(upstream.live).toBe(0);
    expect(upstream.reasons).toEqual(new Set(["leaked"]));
    expect((await revoke()).at(-1)).toEqual({ kind: "summary", revoked: 0, incompleteReason: undefined });
  });

  it("leaves tokens that were minted after the watermark", async () => {
    const { revoke, upstream } = await create(150);
    await revoke(NOW_MS - 1_100);
    expect(upstream.live).toBe(101);
  });

  it("revokes all although the upstream goes on listing for a while what it has revoked", async () => {
    const { revoke, upstream, clock } = await create(350);
    upstream.listsRevokedFor = 3;
    expect((await passing(clock, revoke())).at(-1)).toMatchObject({ revoked: 350, incompleteReason: undefined });
    expect(upstream.live).toBe(0);
  });

  it("says so when the upstream never stops listing what it has revoked", async () => {
    const { revoke, upstream, clock } = await create(3);
    upstream.listsRevokedFor = Number.POSITIVE_INFINITY;
    expect((await passing(clock, revoke())).at(-1)).toMatchObject({
      revoked: 3,
      incompleteReason: "UPSTREAM_BAD_RESPONSE",
    });
  });

  it("says why where the gateway's key may not list the machine's tokens; the watermark stands", async () => {
    const { revoke, upstream, verdictOn } = await create(3);
    upstream.listError = new GatewayError("UPSTREAM_FORBIDDEN", "no");
    expect((await revoke()).at(-1)).toEqual({ kind: "summary", revoked: 0, incompleteReason: "UPSTREAM_FORBIDDEN" });
    expect(await verdictOn(mintedNow)).toBe("revoked");
  });

  it("fails where the upstream fails, and is finished by a repeat", async () => {
    const { revoke, upstream } = await create(30);
    upstream.failRevokesAfter = 15;
    await expect(revoke()).rejects.toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
    upstream.failRevokesAfter = Number.POSITIVE_INFINITY;
    expect((await revoke()).at(-1)).toMatchObject({ kind: "summary", incompleteReason: undefined });
    expect(upstream.live).toBe(0);
  });

  it("is remembered for as long as a JWT may live that was minted before", async () => {
    const { revoke, revocations, clock } = await create();
    await revoke(NOW_MS);
    clock.advance(LONGEST_JWT_MS - 60_000);
    expect(revocations.liveCount).toBe(1);
    clock.advance(120_000);
    expect(revocations.liveCount).toBe(0);
  });

  async function withCachedTokens() {
    const domain = await create();
    for (const [n, subject] of [
      [11, BILLING],
      [12, REPORTS],
    ] as const) {
      domain.upstream.known.set(secretOf(n), token(n, { subject }));
      await domain.verifier.verify(verifyRequest(secretOf(n)));
    }
    return domain;
  }
});

describe("revoking a key", () => {
  it("refuses every JWT that names it, and no other", async () => {
    const { subjectRevoker, verdictOn } = await create();
    const other = await mint(KEY, goodClaims(4), { kid: "ins_other" });
    expect([await verdictOn(mintedNow), await verdictOn(other)]).toEqual(["valid", "valid"]);
    expect(await subjectRevoker.revokeKey("ins_first", "leaked", "replica")).toMatchObject({ propagation: "fleet" });
    expect([await verdictOn(mintedNow), await verdictOn(other)]).toEqual(["revoked", "valid"]);
  });
});

describe("revoking a JWT", () => {
  const request = { reason: "leaked", wait: "replica", signal: new AbortController().signal } as const;

  it("needs no upstream when the JWT itself is shown, and is remembered until it expires", async () => {
    const { revoker, revocations, verdictOn, clock } = await create();
    const result = await revoker.revoke({ ...request, target: { presented: mintedNow } });
    expect(result).toMatchObject({
      enforcement: "gateways",
      token: { id: tokenId(1), subject: BILLING, revoked: true, revocationReason: "leaked" },
    });
    expect(await verdictOn(mintedNow)).toBe("revoked");
    clock.advance(3_600_000 + CLOCK_SKEW_MS);
    expect(revocations.find(tokenId(1))).toBeDefined();
    clock.advance(180_000);
    expect(revocations.liveCount).toBe(0);
  });

  it("takes its id alone when told that it is the id of a JWT", async () => {
    const { revoker, verdictOn } = await create();
    const target = { tokenId: tokenId(1), isJwt: true };
    expect(await revoker.revoke({ ...request, target })).toMatchObject({ enforcement: "gateways", token: undefined });
    expect(await verdictOn(mintedNow)).toBe("revoked");
  });

  it("is not possible for one that the issuer did not sign", async () => {
    const { revoker } = await create();
    const forged = await mint(makeIssuerKey(), goodClaims(1));
    await expect(revoker.revoke({ ...request, target: { presented: forged } })).rejects.toMatchObject({
      reason: "TOKEN_NOT_FOUND",
    });
  });

  it("is possible for one that is granted to another machine, or expired", async () => {
    const { revoker } = await create();
    const foreign = await mint(KEY, goodClaims(5, { aud: BILLING, iat: NOW_S - 60, exp: NOW_S - 30 }));
    expect(await revoker.revoke({ ...request, target: { presented: foreign } })).toMatchObject({
      token: { id: tokenId(5) },
    });
  });
});
