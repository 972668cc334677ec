import type { Cursor } from "./cursor.ts";
import type { Digester } from "./digest.ts";
import type { JwtVerifier } from "./jwt-verifier.ts";
import type { KnownToken, Observation } from "./observation.ts";
import { never, Observer, type ObserverOptions } from "./observer.ts";
import { type Policy, verdictOf } from "./policy.ts";
import type { UnknownAdmission } from "./ports.ts";
import { Recall } from "./recall.ts";
import type { Revalidator } from "./revalidator.ts";
import { StalenessGuard } from "./staleness-guard.ts";
import type { Token, TokenDigest, TokenSecret } from "./token.ts";
import { formOf, MAX_SECRET_LENGTH, parseSecret } from "./token-form.ts";
import type { InvalidationTarget } from "./verdict-cache.ts";
import { VerdictCounts } from "./verdict-counts.ts";
import type { KeptAnswer, Subjects, Verification, VerifyRequest } from "./verification.ts";
import { confined, NO_DEMANDS, verificationOf } from "./verification.ts";
import { visibleText } from "./visible-text.ts";

export interface VerifierOptions extends ObserverOptions {
  /** Finds revocations that nobody told of; `undefined` to leave that out. */
  readonly revalidator?: Revalidator | undefined;
  /** Asked before a token that memory does not know is looked for anywhere else, or its signature checked. */
  readonly admission?: UnknownAdmission | undefined;
  /** Where verdicts are counted; with no other verifier's when not given. */
  readonly counts?: VerdictCounts | undefined;
  readonly digester: Digester;
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
 * Every path to VALID goes through `#judge`, `Recall.fromKnown` or `JwtVerifier`, and all look into the revocation facts
 * after the last await and before they return. What the caches hold is never the guard: a late write meets the fact there.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #observer: Observer;
  readonly #malformed = verificationOf("invalid", undefined, "local", undefined);
  readonly counts: VerdictCounts;
  readonly #staleness: StalenessGuard;
  readonly #recall: Recall;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.counts = options.counts ?? new VerdictCounts();
    this.#observer = new Observer(options);
    this.#staleness = new StalenessGuard(options.feed, options.allowsUnsyncedJwts ?? false);
    const { jwts, revalidator, admission } = options;
    const parts = { jwts, revalidator, admission, staleness: this.#staleness, observer: this.#observer };
    this.#recall = new Recall({ ...options, ...parts });
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
    const digest = this.#options.digester.of(presented);
    const known = cache.known(digest);
    const verification = this.#recall.decide(presented, digest, known, clock.monotonicMs(), NO_DEMANDS);
    if (verification !== undefined) return confined(verification, subjects);
    return parseSecret(presented) === undefined ? this.#malformed : undefined;
  }

  /** As `recall`, of the string in `bytes[start, end)`; `undefined` also for one that is not visible ASCII throughout. */
  recallBytes(bytes: Buffer, start: number, end: number, subjects?: Subjects): Verification | KeptAnswer | undefined {
    if (end - start > MAX_SECRET_LENGTH) return undefined;
    const { cache, clock } = this.#options;
    const digest = this.#options.digester.ofBytes(bytes, start, end);
    const slot = cache.find(digest);
    if (slot >= 0) {
      const nowMs = clock.monotonicMs();
      const standing = subjects === undefined ? this.#recall.standing(slot, nowMs) : undefined;
      if (standing !== undefined) return standing;
      const verification = this.#recall.decideKnown(bytes, start, end, digest, slot, nowMs);
      if (verification !== undefined && subjects !== undefined) return confined(verification, subjects);
      // An answer that was kept before may stand again now, and need not be encoded anew.
      if (verification?.verdict === "valid") return this.#recall.standing(slot, nowMs) ?? verification;
      if (verification !== undefined) return verification;
    }
    const presented = visibleText(bytes, start, end);
    return presented === undefined ? undefined : this.recall(presented, subjects);
  }

  /** Counts a verdict that `recall` gave and that was answered. */
  count({ verdict, source }: Pick<Verification, "verdict" | "source">): void {
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
    return this.#recall.hasExpired(token) ? verificationOf("expired", token, source, observedAtMs) : verification;
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
    const { cache, clock, digester, feed } = this.#options;
    const key = digester.of(secret);
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
    const digest = this.#options.digester.of(presented);
    const known = cache.known(digest);
    const nowMs = clock.monotonicMs();
    const verification = this.#recall.decide(presented, digest, known, nowMs, request);
    if (verification !== undefined) return this.#counted(verification, request.subjects);
    const secret = parseSecret(presented);
    if (secret === undefined) return this.#counted(this.#malformed);
    const late = this.#recall.isLocal(presented, known)
      ? this.#resolveJwt(secret, digest, known, nowMs, request)
      : this.#resolve(secret, digest, known, nowMs, request);
    return late.then((verification) => this.#counted(verification, request.subjects));
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
    if (known === undefined) this.#options.admission?.admitUnknown();
    if (await jwts?.reachKey(secret, request.signal)) {
      const nowMs = clock.monotonicMs();
      const verification = jwts?.decide(secret, digest, cache.known(digest), nowMs, request.policy);
      if (verification !== undefined) return this.#staleness.demand(verification, nowMs);
    }
    // The object that is known now: to another, changes do not count.
    const latest = cache.known(digest) ?? known;
    const observed = latest?.signed === undefined ? latest : undefined;
    const verification =
      this.#recall.observed(secret, digest, observed, askedAtMs, request) ??
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
    if (known === undefined) this.#options.admission?.admitUnknown();
    if (feed.isFresh(askedAtMs) && store !== undefined && maxAgeMs === Number.POSITIVE_INFINITY) {
      const shared = await this.#observer.lookUp(secret, digest, signal);
      const verification = shared && this.#recall.fromKnown(shared, "redis", clock.monotonicMs(), request);
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
    if (this.#recall.hasExpired(token)) return verificationOf("expired", token, "upstream", observedAtMs);
    const verification = verificationOf(verdictOf(token, policy), token, "upstream", observedAtMs);
    return token.format === "jwt" ? this.#staleness.demand(verification, clock.monotonicMs()) : verification;
  }

  #counted(verification: Verification, subjects?: Subjects): Verification {
    const answer = confined(verification, subjects);
    this.count(answer);
    return answer;
  }
}
