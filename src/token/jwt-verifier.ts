import { failedNow, type JwtCheck, type JwtRules, keyIdOf, parseJwt } from "./jwt.ts";
import { isRevoked, type KnownToken, type SignedToken } from "./observation.ts";
import { type Policy, verdictOf } from "./policy.ts";
import type { Clock, SigningKeys } from "./ports.ts";
import type { Revocations } from "./revocations.ts";
import { isSignedBy } from "./signing-keys.ts";
import type { Token, TokenDigest, Verdict } from "./token.ts";
import type { VerdictCache } from "./verdict-cache.ts";
import type { Verification } from "./verification.ts";
import { verificationOf } from "./verification.ts";

export interface JwtVerifierOptions {
  readonly keys: SigningKeys;
  readonly rules: JwtRules;
  readonly cache: VerdictCache;
  readonly revocations: Revocations;
  readonly clock: Clock;
}

const VERDICTS: Partial<Record<JwtCheck, Verdict>> = { expiration: "expired", grant: "not_granted" };

/**
 * Decides JWTs with the issuer's keys. That a signature is good is remembered, under the digest of the whole token and for
 * as long as its key counts; the facts, the time, the grant and the caller's policy are asked on every call. Whether the
 * facts are fresh enough for a VALID is the caller's to ask.
 */
export class JwtVerifier {
  readonly #options: JwtVerifierOptions;

  constructor(options: JwtVerifierOptions) {
    this.#options = options;
  }

  get clockSkewMs(): number {
    return this.#options.rules.clockSkewMs;
  }

  /** `undefined` when the key that it is signed with is not at hand. */
  decide(
    presented: string,
    digest: TokenDigest,
    remembered: KnownToken | undefined,
    nowMs: number,
    policy: Policy | undefined,
  ): Verification | undefined {
    const verification = remembered && this.decideKnown(remembered, nowMs, policy);
    return verification ?? this.#decideAnew(presented, digest, nowMs, policy);
  }

  /** The same for a JWT whose signature is remembered to be good; `undefined` when it is not, or not by a key that counts. */
  decideKnown(known: KnownToken, nowMs: number, policy: Policy | undefined): Verification | undefined {
    const { signed } = known;
    if (signed === undefined || this.#options.keys.find(signed.keyId, nowMs) !== signed.key) return undefined;
    return this.#judge(known, signed, policy);
  }

  /** As `SigningKeys.reach`, for the key that a JWT names. */
  async reachKey(presented: string, signal: AbortSignal): Promise<boolean> {
    return await this.#options.keys.reach(keyIdOf(presented), signal);
  }

  /** What the upstream has decided without these keys, unless a check that needs none says otherwise. */
  restrict(presented: string, verification: Verification): Verification {
    if (verification.verdict !== "valid") return verification;
    const jwt = parseJwt(presented, this.#options.rules);
    const failed = typeof jwt === "string" ? jwt : failedNow(jwt, this.#options.clock.wallMs());
    return failed === undefined ? verification : refusal(failed, verification.token);
  }

  #decideAnew(
    presented: string,
    digest: TokenDigest,
    nowMs: number,
    policy: Policy | undefined,
  ): Verification | undefined {
    const { keys, rules, cache, clock } = this.#options;
    const jwt = parseJwt(presented, rules);
    if (typeof jwt === "string") return refusal(jwt);
    const key = keys.find(jwt.keyId, nowMs);
    if (key === undefined) return undefined;
    if (key === "none") return refusal("key");
    if (!isSignedBy(key, jwt.signed, jwt.signature)) return refusal("signature");
    const { token, keyId, notBeforeMs, issuedAtMs, validUntilMs, granted } = jwt;
    const signed = { keyId, key, notBeforeMs, issuedAtMs, validUntilMs, granted };
    const known = { token, observedAtMonotonicMs: nowMs, observedAtMs: clock.wallMs(), uses: 0, signed };
    cache.put(digest, known);
    return this.#judge(known, signed, policy);
  }

  /** A revocation and an expiration first: they are final. */
  #judge(known: KnownToken, signed: SignedToken, policy: Policy | undefined): Verification {
    const { token } = known;
    if (isRevoked(known, this.#options.revocations)) return verificationOf("revoked", token, "fact", undefined);
    const failed = failedNow(signed, this.#options.clock.wallMs());
    if (failed !== undefined) return refusal(failed, token);
    const verdict = verdictOf(token, policy);
    if (verdict !== "valid") return verificationOf(verdict, token, "local", undefined);
    known.valid ??= verificationOf(verdict, token, "local", undefined);
    return known.valid;
  }
}

function refusal(check: JwtCheck, token?: Token): Verification {
  return verificationOf(VERDICTS[check] ?? "invalid", token, "local", undefined, check);
}
