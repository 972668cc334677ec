import type { JwtVerifier } from "./jwt-verifier.ts";
import { isRevoked, type KnownToken } from "./observation.ts";
import { never, type Observer } from "./observer.ts";
import { verdictOf } from "./policy.ts";
import type { Clock, UnknownAdmission } from "./ports.ts";
import type { Revalidator } from "./revalidator.ts";
import type { RevocationFeed } from "./revocation-feed.ts";
import type { Revocations } from "./revocations.ts";
import type { StalenessGuard } from "./staleness-guard.ts";
import type { Token, TokenDigest, TokenSecret } from "./token.ts";
import { formOf } from "./token-form.ts";
import type { VerdictCache } from "./verdict-cache.ts";
import {
  type Demands,
  hasExpired,
  type KeptAnswer,
  NO_DEMANDS,
  type Verification,
  verificationOf,
} from "./verification.ts";

export interface RecallOptions {
  readonly cache: VerdictCache;
  readonly revocations: Revocations;
  readonly feed: RevocationFeed;
  readonly clock: Clock;
  readonly jwts: JwtVerifier | undefined;
  readonly revalidator: Revalidator | undefined;
  readonly admission: UnknownAdmission | undefined;
  readonly staleness: StalenessGuard;
  /** Asks again about what memory knows, where that is due. */
  readonly observer: Observer;
}

/**
 * What this process decides alone and at once: by what it remembers, and by the signature of a JWT whose key is at hand.
 * `undefined` is "not decided". Every VALID comes after a look into the revocation facts.
 */
export class Recall {
  readonly #options: RecallOptions;

  constructor(options: RecallOptions) {
    this.#options = options;
  }

  decide(
    presented: string,
    digest: TokenDigest,
    known: KnownToken | undefined,
    nowMs: number,
    demands: Demands,
  ): Verification | undefined {
    if (!this.isLocal(presented, known)) return this.observed(presented, digest, known, nowMs, demands);
    const { jwts, staleness, admission } = this.#options;
    // A signature costs as much as many answers from memory, be it good or not.
    if (known === undefined && admission?.refusesUnknown === true) return undefined;
    const verification = jwts?.decide(presented, digest, known, nowMs, demands.policy);
    return verification !== undefined && staleness.permits(verification, nowMs) ? verification : undefined;
  }

  /**
   * What stands of what memory decided before, for a caller without demands: nothing that it was decided by has changed.
   * Reads no more memory than it must, for among a million tokens that is what takes the time.
   */
  standing(slot: number, nowMs: number): KeptAnswer | undefined {
    const { cache, revocations, feed, clock, staleness } = this.#options;
    const answer = cache.standing(slot, revocations.edition, nowMs, clock.wallMs());
    if (answer === undefined || !feed.isFresh(nowMs)) return undefined;
    staleness.note(nowMs);
    return answer;
  }

  /**
   * The same as `decide`, without demands, for what is known under the digest of `bytes[start, end)`. The digest says that they are the
   * token's, which is all that there is to know of them: they are neither checked nor, but to ask again, read.
   */
  decideKnown(
    bytes: Buffer,
    start: number,
    end: number,
    digest: TokenDigest,
    slot: number,
    nowMs: number,
  ): Verification | undefined {
    const { cache, jwts, staleness } = this.#options;
    const known = cache.at(slot);
    if (known === undefined) return undefined;
    if (jwts === undefined || known.token.format !== "jwt") {
      const verification = this.fromKnown(known, "memory", nowMs, NO_DEMANDS);
      if (verification === undefined) return undefined;
      if (this.#isDue(known, nowMs)) this.#renew(known, bytes.toString("latin1", start, end) as TokenSecret, digest);
      else if (verification === known.valid) this.#letStand(slot, known);
      return verification;
    }
    const verification = jwts.decideKnown(known, nowMs, undefined);
    return verification !== undefined && staleness.permits(verification, nowMs) ? verification : undefined;
  }

  /** By what the upstream said when it was asked. */
  observed(
    presented: string,
    digest: TokenDigest,
    known: KnownToken | undefined,
    nowMs: number,
    demands: Demands,
  ): Verification | undefined {
    const { cache, feed } = this.#options;
    if (known !== undefined) {
      const verification = this.fromKnown(known, "memory", nowMs, demands);
      // What is known under this digest had the form of a secret when it became known.
      if (verification !== undefined && this.#isDue(known, nowMs)) this.#renew(known, presented as TokenSecret, digest);
      return verification;
    }
    const refused = cache.refused(digest);
    if (refused === undefined || !feed.isFresh(nowMs) || !cache.isUsable(refused, nowMs, demands.maxAgeMs)) {
      return undefined;
    }
    return verificationOf("invalid", undefined, "memory", refused.observedAtMs);
  }

  /**
   * The verdict on a token that the upstream knew when last asked, or `undefined` to ask again. A revocation and an
   * expiration are final: they decide whatever the age of the observation. VALID needs one that is usable, and a fresh
   * view of the facts.
   */
  fromKnown(known: KnownToken, source: "memory" | "redis", nowMs: number, demands: Demands): Verification | undefined {
    const { cache, feed, staleness } = this.#options;
    const { token, observedAtMs } = known;
    if (isRevoked(known, this.#options.revocations)) return verificationOf("revoked", token, "fact", observedAtMs);
    if (token.revoked) return verificationOf("revoked", token, source, observedAtMs);
    if (this.hasExpired(token)) return verificationOf("expired", token, source, observedAtMs);
    if (!feed.isFresh(nowMs) || !cache.isUsable(known, nowMs, demands.maxAgeMs)) return undefined;
    staleness.note(nowMs);
    const verdict = verdictOf(token, demands.policy);
    if (verdict !== "valid" || source !== "memory") return verificationOf(verdict, token, source, observedAtMs);
    known.valid ??= verificationOf(verdict, token, source, observedAtMs);
    return known.valid;
  }

  /** Whether a token is for the issuer's keys to decide. */
  isLocal(presented: string, known: KnownToken | undefined): boolean {
    if (this.#options.jwts === undefined) return false;
    return known === undefined ? formOf(presented) === "jwt" : known.token.format === "jwt";
  }

  hasExpired(token: Token): boolean {
    return hasExpired(token, this.#options.clock.wallMs(), this.#options.jwts?.clockSkewMs);
  }

  #isDue(known: KnownToken, nowMs: number): boolean {
    return this.#options.revalidator?.isDue(known, nowMs) === true;
  }

  #letStand(slot: number, known: KnownToken): void {
    const { cache, revocations, revalidator } = this.#options;
    // Whoever renews what is hot hears of each use until it is, and of all once it is due.
    if (revalidator?.isHot(known) === false) return;
    const untilMs = revalidator?.renewAtMs(known) ?? Number.POSITIVE_INFINITY;
    cache.stand(slot, revocations.edition, untilMs);
  }

  #renew(known: KnownToken, secret: TokenSecret, digest: TokenDigest): void {
    const { revalidator, observer } = this.#options;
    revalidator?.refresh(known, secret, {
      lookUp: () => observer.lookUp(secret, digest, never()),
      ask: () => observer.ask(secret, digest, "known", 0, never()),
    });
  }
}
