import type { Cursor } from "./cursor.ts";
import type { JwtVerifier } from "./jwt-verifier.ts";
import { isRevoked, type KnownToken, type Observation } from "./observation.ts";
import { never, Observer, type ObserverOptions } from "./observer.ts";
import { type Policy, verdictOf } from "./policy.ts";
import type { Revalidator } from "./revalidator.ts";
import { StalenessGuard } from "./staleness-guard.ts";
import type { Token, TokenDigest, TokenSecret } from "./token.ts";
import { formOf, MAX_SECRET_LENGTH, parseSecret } from "./token-form.ts";
import type { InvalidationTarget } from "./verdict-cache.ts";
import { VerdictCounts } from "./verdict-counts.ts";
import type { Demands, Subjects, Verification, VerifyRequest } from "./verification.ts";
import { confined, hasExpired, NO_DEMANDS, verificationOf } from "./verification.ts";

export interface VerifierOptions extends ObserverOptions {
  /** Finds revocations that nobody told of; `undefined` to leave that out. */
  readonly revalidator?: Revalidator | undefined;
  /** Asked before a token that memory does not know is looked for anywhere else. @throws GatewayError to refuse it */
  readonly admitUnknown?: (() => void) | undefined;
  /** Where verdicts are counted; with no other verifier's when not given. */
  readonly counts?: VerdictCounts | undefined;
  readonly digest: (presented: string) => TokenDigest;
  /** Decides JWTs with the issuer's keys; `undefined` leaves them to the upstream, like opaque tokens. */
  readonly jwts?: JwtVerifier | undefined;
  /** Whether JWTs may be VALID without a fresh view of the facts. */
  readonly allowsUnsyncedJwts?: boolean | undefined;
  /** How long a call without a deadline of its own waits for `minCursor`. */
  readonly minCursorTimeoutMs: number;
}

/**
 * The one place that decides a verdict.
 *
 * Every path to VALID goes through `#judge`, `#fromKnown` or `JwtVerifier.decide`, and all look into the revocation facts
 * after the last await and before they return. What the caches hold is never the guard: a late write meets the fact there.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #observer: Observer;
  readonly #malformed = verificationOf("invalid", undefined, "local", undefined);
  readonly counts: VerdictCounts;
  readonly #staleness: StalenessGuard;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.counts = options.counts ?? new VerdictCounts();
    this.#observer = new Observer(options);
    this.#staleness = new StalenessGuard(options.feed, options.allowsUnsyncedJwts ?? false);
  }

  /**
   * Decides at once when memory can, else with a promise.
   * @throws GatewayError when it could not decide; for `minCursor` also CURSOR_OF_ANOTHER_LOG, CURSOR_NOT_REACHED
   */
  verify(request: VerifyRequest): Verification | Promise<Verification> {
    const { minCursor } = request;
    if (minCursor === undefined || this.#options.feed.hasApplied(minCursor)) return this.#verifyNow(request);
    return this.reach(minCursor, request.signal).then(() => this.#verifyNow(request));
  }

  /**
   * What memory alone decides, for a caller without demands; `undefined` when it cannot. Starts nothing that anybody waits
   * for. Holds as long as nothing is awaited, and counts only once given to `count`.
   */
  recall(presented: string, subjects?: Subjects): Verification | undefined {
    if (presented.length > MAX_SECRET_LENGTH) return this.#malformed;
    const { cache, clock } = this.#options;
    const digest = this.#options.digest(presented);
    const verification = this.#recall(presented, digest, cache.known(digest), clock.monotonicMs(), NO_DEMANDS);
    if (verification !== undefined) return confined(verification, subjects);
    return parseSecret(presented) === undefined ? this.#malformed : undefined;
  }

  /** Counts a verdict that `recall` gave and that was answered. */
  count({ verdict, source }: Verification): void {
    this.counts.add(verdict, source);
  }

  /**
   * Resolves once the log has been applied up to `cursor`.
   * @throws GatewayError CURSOR_OF_ANOTHER_LOG, CURSOR_NOT_REACHED, CANCELED
   */
  async reach(cursor: Cursor, signal: AbortSignal): Promise<void> {
    await this.#options.feed.waitFor(cursor, this.#options.minCursorTimeoutMs, signal);
  }

  /** A verdict that had to wait after it was decided, as the facts have it now. */
  recheck(verification: Verification): Verification {
    const { verdict, token, source, observedAtMs } = verification;
    if ((verdict !== "valid" && verdict !== "not_granted") || token === undefined) return verification;
    const isRevokedNow = this.#options.revocations.findFor(token) !== undefined;
    if (isRevokedNow) return verificationOf("revoked", token, "fact", observedAtMs);
    return this.#hasExpired(token) ? verificationOf("expired", token, source, observedAtMs) : verification;
  }

  /** Forgets verdicts: what was observed up to now decides nothing any more, nor does what is being asked now. */
  invalidate(target: InvalidationTarget): void {
    this.#options.cache.invalidate(target);
  }

  /**
   * The token that a secret belongs to, good or not: from memory if this process has seen it, however long ago, or by the
   * signature of a JWT, else from the upstream. `undefined` when nobody vouches for it.
   */
  async identify(secret: TokenSecret, signal: AbortSignal): Promise<Token | undefined> {
    const { cache, clock, digest, feed } = this.#options;
    const key = digest(secret);
    const known = cache.known(key);
    if (known !== undefined) return known.token;
    const nowMs = clock.monotonicMs();
    if (formOf(secret) === "jwt" && (await this.#options.jwts?.reachKey(secret, signal))) {
      return this.#options.jwts?.decide(secret, key, undefined, nowMs, undefined)?.token;
    }
    const refused = cache.refused(key);
    if (refused !== undefined && feed.isFresh(nowMs) && cache.isUsable(refused, nowMs, Number.POSITIVE_INFINITY)) {
      return undefined;
    }
    return (await this.#observer.ask(secret, key, "unknown", Number.POSITIVE_INFINITY, signal)).token;
  }

  /** The longest staleness at which memory decided, in milliseconds. */
  get worstStalenessMs(): number {
    return this.#staleness.worstMs;
  }

  /** Verifications that shared a question which another had asked. */
  get joinedCount(): number {
    return this.#observer.joinedCount;
  }

  /** Questions under way. */
  get flightCount(): number {
    return this.#observer.openCount;
  }

  #verifyNow(request: VerifyRequest): Verification | Promise<Verification> {
    const { presented } = request;
    if (presented.length > MAX_SECRET_LENGTH) return this.#counted(this.#malformed);
    const { cache, clock } = this.#options;
    const digest = this.#options.digest(presented);
    const known = cache.known(digest);
    const nowMs = clock.monotonicMs();
    const verification = this.#recall(presented, digest, known, nowMs, request);
    if (verification !== undefined) return this.#counted(verification, request.subjects);
    const secret = parseSecret(presented);
    if (secret === undefined) return this.#counted(this.#malformed);
    const late = this.#isLocal(presented, known)
      ? this.#resolveJwt(secret, digest, known, nowMs, request)
      : this.#resolve(secret, digest, known, nowMs, request);
    return late.then((verification) => this.#counted(verification, request.subjects));
  }

  #recall(
    presented: string,
    digest: TokenDigest,
    known: KnownToken | undefined,
    nowMs: number,
    demands: Demands,
  ): Verification | undefined {
    if (!this.#isLocal(presented, known)) return this.#recallObserved(presented, digest, known, nowMs, demands);
    const verification = this.#options.jwts?.decide(presented, digest, known, nowMs, demands.policy);
    return verification !== undefined && this.#staleness.permits(verification, nowMs) ? verification : undefined;
  }

  #recallObserved(
    presented: string,
    digest: TokenDigest,
    known: KnownToken | undefined,
    nowMs: number,
    demands: Demands,
  ): Verification | undefined {
    const { cache, feed, revalidator } = this.#options;
    if (known !== undefined) {
      const verification = this.#fromKnown(known, "memory", nowMs, demands);
      if (verification !== undefined && revalidator?.isDue(known, nowMs)) {
        this.#revalidate(known, presented as TokenSecret, digest);
      }
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
  #fromKnown(known: KnownToken, source: "memory" | "redis", nowMs: number, demands: Demands): Verification | undefined {
    const { cache, feed } = this.#options;
    const { token, observedAtMs } = known;
    if (isRevoked(known, this.#options.revocations)) return verificationOf("revoked", token, "fact", observedAtMs);
    if (token.revoked) return verificationOf("revoked", token, source, observedAtMs);
    if (this.#hasExpired(token)) return verificationOf("expired", token, source, observedAtMs);
    if (!feed.isFresh(nowMs) || !cache.isUsable(known, nowMs, demands.maxAgeMs)) return undefined;
    this.#staleness.note(nowMs);
    const verdict = verdictOf(token, demands.policy);
    if (verdict !== "valid" || source !== "memory") return verificationOf(verdict, token, source, observedAtMs);
    known.valid ??= verificationOf(verdict, token, source, observedAtMs);
    return known.valid;
  }

  /** What was known under this digest had the form of a secret when it became known. */
  #revalidate(known: KnownToken, secret: TokenSecret, digest: TokenDigest): void {
    this.#options.revalidator?.refresh(known, secret, {
      lookUp: () => this.#observer.lookUp(secret, digest, never()),
      ask: () => this.#observer.ask(secret, digest, "known", 0, never()),
    });
  }

  /** Fetches the key that a JWT is signed with; where no keys can be had, the upstream decides. */
  async #resolveJwt(
    secret: TokenSecret,
    digest: TokenDigest,
    known: KnownToken | undefined,
    askedAtMs: number,
    request: VerifyRequest,
  ): Promise<Verification> {
    const { jwts, cache, clock } = this.#options;
    if (await jwts?.reachKey(secret, request.signal)) {
      const nowMs = clock.monotonicMs();
      const verification = jwts?.decide(secret, digest, cache.known(digest), nowMs, request.policy);
      if (verification !== undefined) return this.#staleness.demand(verification, nowMs);
    }
    const observed = known?.signed === undefined ? known : undefined;
    const verification =
      this.#recallObserved(secret, digest, observed, askedAtMs, request) ??
      (await this.#resolve(secret, digest, observed, askedAtMs, request));
    return jwts === undefined ? verification : jwts.restrict(secret, this.recheck(verification));
  }

  /** Asks the other replicas' memory first, then the upstream. */
  async #resolve(
    secret: TokenSecret,
    digest: TokenDigest,
    known: KnownToken | undefined,
    askedAtMs: number,
    request: VerifyRequest,
  ): Promise<Verification> {
    const { cache, clock, feed, store } = this.#options;
    const { maxAgeMs, signal } = request;
    const credential = this.#options.credential?.();
    if (known === undefined) this.#options.admitUnknown?.();
    if (feed.isFresh(askedAtMs) && store !== undefined && maxAgeMs === Number.POSITIVE_INFINITY) {
      const shared = await this.#observer.lookUp(secret, digest, signal);
      const verification = shared && this.#fromKnown(shared, "redis", clock.monotonicMs(), request);
      if (verification !== undefined) return verification;
    }
    const lane = known === undefined ? "unknown" : "known";
    this.counts.misses += 1;
    for (;;) {
      const observation = await this.#observer.ask(secret, digest, lane, maxAgeMs, signal);
      // An answer that was invalidated while it was awaited is worth nothing: it is asked for again.
      if (cache.isInvalidated(observation)) continue;
      if (observation.token === undefined && known !== undefined) {
        const isSame = () => this.#options.credential?.() === credential;
        const ask = () => this.#observer.ask(secret, digest, lane, 0, never());
        this.#options.revalidator?.refused(known.token, isSame, ask);
      }
      return this.#judge(observation, known, request.policy);
    }
  }

  /** Runs after the last await of the slow path: what the facts say now is what counts. */
  #judge(observation: Observation, known: KnownToken | undefined, policy: Policy | undefined): Verification {
    const { token, observedAtMs } = observation;
    const { revocations, clock } = this.#options;
    const subject = token ?? known?.token;
    if (subject !== undefined && revocations.findFor(subject) !== undefined && !token?.revoked) {
      return verificationOf("revoked", subject, "fact", observedAtMs);
    }
    if (token === undefined) return verificationOf("invalid", undefined, "upstream", observedAtMs);
    if (token.revoked) return verificationOf("revoked", token, "upstream", observedAtMs);
    if (this.#hasExpired(token)) return verificationOf("expired", token, "upstream", observedAtMs);
    const verification = verificationOf(verdictOf(token, policy), token, "upstream", observedAtMs);
    return token.format === "jwt" ? this.#staleness.demand(verification, clock.monotonicMs()) : verification;
  }

  /** Whether a token is for the issuer's keys to decide. */
  #isLocal(presented: string, known: KnownToken | undefined): boolean {
    if (this.#options.jwts === undefined) return false;
    return known === undefined ? formOf(presented) === "jwt" : known.token.format === "jwt";
  }

  #hasExpired(token: Token): boolean {
    return hasExpired(token, this.#options.clock.wallMs(), this.#options.jwts?.clockSkewMs);
  }

  #counted(verification: Verification, subjects?: Subjects): Verification {
    const answer = confined(verification, subjects);
    this.count(answer);
    return answer;
  }
}
