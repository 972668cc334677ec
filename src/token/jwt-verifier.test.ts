import { beforeAll, describe, expect, it } from "vitest";
import { BOUND_MS, createDomain, FlakyLog, verifyRequest } from "../../test/support/domain.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { goodClaims, makeIssuerKey, mint, mintRaw, NOW_S, RULES } from "../../test/support/jwts.ts";
import { BILLING, token, tokenId } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import type { RevocationFact } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import { FixedKey, type Jwk, parsePublicKey } from "./signing-keys.ts";
import type { TokenSecret } from "./token.ts";
import type { Verification } from "./verification.ts";
import type { Verifier } from "./verifier.ts";

const KEY = makeIssuerKey();
const NEXT = makeIssuerKey("ins_next");
let good: TokenSecret;

beforeAll(async () => {
  good = await mint(KEY);
});

/** A domain whose keys come from an endpoint that gives `published`, or fails while that is undefined. */
async function withEndpoint(published: Jwk[] | undefined) {
  const clock = new FakeClock();
  const endpoint = { published, fetches: 0 };
  const keys = new IssuerKeys({
    endpoint: {
      async fetchKeys() {
        endpoint.fetches += 1;
        if (endpoint.published === undefined) throw new GatewayError("UPSTREAM_UNAVAILABLE", "away");
        return endpoint.published;
      },
    },
    clock,
    refreshMs: 300_000,
    cooldownMs: 10_000,
    maxAgeMs: 3_600_000,
    onError: () => undefined,
  });
  keys.start();
  await settle();
  const domain = await createDomain({ clock, jwts: { keys, rules: RULES } });
  return { ...domain, endpoint };
}

function withFixedKey(options: Parameters<typeof createDomain>[0] = {}) {
  return createDomain({ ...options, jwts: { keys: new FixedKey(parsePublicKey(KEY.pem)), rules: RULES } });
}

/** What memory decides: the same of bytes as of a string. */
function recall(verifier: Verifier, presented: string): Verification | undefined {
  const bytes = Buffer.from(` ${presented} `);
  const verification = verifier.recallBytes(bytes, 1, bytes.length - 1);
  expect(verifier.recall(presented)).toEqual(verification);
  if (verification !== undefined && "bytes" in verification) throw new Error("answers for JWTs are not kept");
  return verification;
}

describe("the verdict on a JWT", () => {
  it("is given at once, from memory when its signature was checked before, and shared by those who ask", async () => {
    const { verifier, cache } = await withFixedKey();
    const first = recall(verifier, good);
    expect(first).toMatchObject({ verdict: "valid", source: "local" });
    expect(cache.knownCount).toBe(1);
    expect(verifier.recall(good)).toBe(recall(verifier, good));
    expect(verifier.verify(verifyRequest(good, { maxAgeMs: 0 }))).toMatchObject({ verdict: "valid", source: "local" });
  });

  it("is checked against the time on every call: the signature is remembered, not the verdict", async () => {
    const { verifier, clock } = await withFixedKey();
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
    clock.advance(3_604_998);
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
    clock.advance(1);
    expect(recall(verifier, good)).toMatchObject({
      verdict: "expired",
      failedCheck: "expiration",
      token: { id: tokenId(1) },
    });
    clock.jumpWall(-3_700_000);
    expect(recall(verifier, good)).toMatchObject({ verdict: "invalid", failedCheck: "not_before" });
  });

  it("is checked against the caller's policy on every call", async () => {
    const { verifier } = await withFixedKey();
    const policy = { allowedSubjects: new Set([RULES.machineId ?? BILLING]), requiredClaims: new Map() };
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
    expect(verifier.verify(verifyRequest(good, { policy }))).toMatchObject({
      verdict: "not_granted",
      failedCheck: undefined,
    });
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
  });

  it.each<[string, (recorder: Recorder) => RevocationFact]>([
    ["its id", (recorder) => recorder.factOf(token(1, { format: "jwt" }), "api")],
    ["its id, of which nothing else is known", (recorder) => recorder.jwtFactOf(tokenId(1), "leaked")],
    ["its machine", (recorder) => recorder.subjectFactOf(BILLING, NOW_S * 1000 + 1, "incident")],
    ["its key", (recorder) => recorder.keyFactOf(KEY.keyId, "leaked")],
  ])("is REVOKED from the moment a fact about %s is known, seen before or not", async (_what, factOf) => {
    for (const isSeen of [true, false]) {
      const { verifier, recorder } = await withFixedKey();
      recorder.recordInBackground(recorder.subjectFactOf(BILLING, NOW_S * 1000, "of JWTs minted before"));
      if (isSeen) expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
      recorder.recordInBackground(factOf(recorder));
      expect(recall(verifier, good)).toMatchObject({ verdict: "revoked", source: "fact" });
    }
  });

  it("is no verdict without a fresh view of the facts, unless it is a refusal", async () => {
    let log: FlakyLog | undefined;
    const { verifier, clock, upstream } = await withFixedKey({
      log: (fakeClock) => {
        log = new FlakyLog(fakeClock);
        return log;
      },
    });
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
    if (log !== undefined) log.reachable = false;
    clock.advance(BOUND_MS + 1);
    await settle();
    expect(recall(verifier, good)).toBeUndefined();
    await expect(verifier.verify(verifyRequest(good))).rejects.toMatchObject({ reason: "UNSYNCED" });
    const old = await mint(KEY, goodClaims(2, { iat: NOW_S - 60, exp: NOW_S - 30 }));
    expect(recall(verifier, old)).toMatchObject({ verdict: "expired" });
    expect(recall(verifier, mintRaw(NEXT, { alg: "RS256" }, goodClaims()))).toMatchObject({ failedCheck: "signature" });
    expect(upstream.verifyCount).toBe(0);
  });

  it("may be VALID without it where that is allowed", async () => {
    let log: FlakyLog | undefined;
    const { verifier, clock } = await withFixedKey({
      allowsUnsyncedJwts: true,
      log: (fakeClock) => {
        log = new FlakyLog(fakeClock);
        return log;
      },
    });
    if (log !== undefined) log.reachable = false;
    clock.advance(BOUND_MS + 1);
    await settle();
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
  });
});

describe("a JWT whose key comes from an endpoint", () => {
  it("waits for the first set, and a thousand of them for one fetch", async () => {
    const { verifier, endpoint, clock } = await withEndpoint(undefined);
    endpoint.published = [KEY.jwk];
    clock.advance(1_000);
    const verdicts = await Promise.all(Array.from({ length: 1_000 }, () => verifier.verify(verifyRequest(good))));
    expect(new Set(verdicts.map(({ verdict }) => verdict))).toEqual(new Set(["valid"]));
    expect(endpoint.fetches).toBe(2);
  });

  it("is VALID with a key that the issuer has begun to use, after one fetch", async () => {
    const { verifier, endpoint, clock } = await withEndpoint([KEY.jwk]);
    const rotated = await mint(NEXT);
    endpoint.published = [NEXT.jwk, KEY.jwk];
    clock.advance(10_000);
    expect(recall(verifier, rotated)).toBeUndefined();
    expect(await verifier.verify(verifyRequest(rotated))).toMatchObject({ verdict: "valid", source: "local" });
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
    expect(endpoint.fetches).toBe(2);
  });

  it("could not be decided, rather than INVALID, while it is too early to ask for its key", async () => {
    const { verifier, clock } = await withEndpoint([KEY.jwk]);
    const rotated = await mint(NEXT);
    await expect(verifier.verify(verifyRequest(rotated))).rejects.toMatchObject({
      reason: "SIGNING_KEY_UNKNOWN",
      facts: { retryAfterMs: expect.any(Number) },
    });
    clock.advance(10_000);
    expect(await verifier.verify(verifyRequest(rotated))).toMatchObject({ verdict: "invalid", failedCheck: "key" });
    expect(recall(verifier, rotated)).toMatchObject({ verdict: "invalid", failedCheck: "key" });
  });

  it("is refused once its key has left the set, although its signature was remembered", async () => {
    const { verifier, endpoint, clock } = await withEndpoint([KEY.jwk, NEXT.jwk]);
    const token = await mint(KEY);
    expect(recall(verifier, token)).toMatchObject({ verdict: "valid" });
    endpoint.published = [NEXT.jwk];
    clock.advance(300_000);
    await settle();
    expect(recall(verifier, token)).toBeUndefined();
    clock.advance(10_000);
    expect(await verifier.verify(verifyRequest(token))).toMatchObject({ verdict: "invalid", failedCheck: "key" });
  });

  it("is refused when another key has taken the id of its own", async () => {
    const { verifier, endpoint, clock } = await withEndpoint([KEY.jwk]);
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid" });
    endpoint.published = [{ ...NEXT.jwk, keyId: KEY.keyId }];
    clock.advance(300_000);
    await settle();
    expect(recall(verifier, good)).toMatchObject({ verdict: "invalid", failedCheck: "signature" });
  });

  it("must name its key", async () => {
    const { verifier } = await withEndpoint([KEY.jwk]);
    const nameless = mintRaw(KEY, { alg: "RS256", typ: "JWT" }, goodClaims());
    expect(recall(verifier, nameless)).toMatchObject({ verdict: "invalid", failedCheck: "key" });
  });
});

describe("a JWT while no keys can be had", () => {
  it("is decided by the upstream, and from memory for as long as that counts", async () => {
    const { verifier, upstream } = await withEndpoint(undefined);
    const waiting = Promise.resolve(verifier.verify(verifyRequest(good)));
    await settle();
    upstream.nextVerify().resolve(token(1, { format: "jwt" }));
    expect(await waiting).toMatchObject({ verdict: "valid", source: "upstream" });
    expect(await verifier.verify(verifyRequest(good))).toMatchObject({ verdict: "valid", source: "memory" });
    expect(upstream.verifyCount).toBe(1);
  });

  it("is not granted by the upstream what the checks that need no key refuse", async () => {
    const { verifier, upstream } = await withEndpoint(undefined);
    const other = await mint(KEY, goodClaims(1, { aud: BILLING }));
    const waiting = Promise.resolve(verifier.verify(verifyRequest(other)));
    await settle();
    upstream.nextVerify().resolve(token(1, { format: "jwt" }));
    expect(await waiting).toMatchObject({ verdict: "not_granted", failedCheck: "grant" });
    expect(await verifier.verify(verifyRequest(other))).toMatchObject({ verdict: "not_granted", failedCheck: "grant" });
  });

  it("is REVOKED when the fact came while the upstream was being asked", async () => {
    const { verifier, upstream, recorder } = await withEndpoint(undefined);
    const waiting = Promise.resolve(verifier.verify(verifyRequest(good)));
    await settle();
    recorder.recordInBackground(recorder.factOf(token(1, { format: "jwt" }), "api"));
    upstream.nextVerify().resolve(token(1, { format: "jwt" }));
    expect(await waiting).toMatchObject({ verdict: "revoked", source: "fact" });
  });

  it("is decided by its signature again as soon as the keys are there", async () => {
    const { verifier, upstream, endpoint, clock } = await withEndpoint(undefined);
    const waiting = Promise.resolve(verifier.verify(verifyRequest(good)));
    await settle();
    upstream.nextVerify().resolve(token(1, { format: "jwt" }));
    await waiting;
    endpoint.published = [KEY.jwk];
    clock.advance(10_000);
    await settle();
    expect(recall(verifier, good)).toMatchObject({ verdict: "valid", source: "local" });
  });
});

describe("a JWT that is for the upstream to decide", () => {
  it("is not VALID without a fresh view of the facts either: the upstream knows of no revocation of a JWT", async () => {
    let log: FlakyLog | undefined;
    const { verifier, clock, upstream } = await createDomain({
      log: (fakeClock) => {
        log = new FlakyLog(fakeClock);
        return log;
      },
    });
    if (log !== undefined) log.reachable = false;
    clock.advance(BOUND_MS + 1);
    await settle();
    const waiting = Promise.resolve(verifier.verify(verifyRequest(good)));
    upstream.nextVerify().resolve(token(1, { format: "jwt" }));
    await expect(waiting).rejects.toMatchObject({ reason: "UNSYNCED" });
  });
});

describe("a public key in PEM", () => {
  it.each<[string, string]>([
    ["a private key", KEY.privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
    ["no PEM", "AAAA"],
    ["nothing", ""],
  ])("is refused when it is %s", (_what, pem) => {
    expect(() => parsePublicKey(pem)).toThrow(TypeError);
  });
});
