import type { Cursor } from "./cursor.ts";
import type { KnownToken, Observation } from "./observation.ts";
import { never, Observer, type ObserverOptions } from "./observer.ts";
import { type Policy, verdictOf } from "./policy.ts";
import type { Revalidator } from "./revalidator.ts";
import type { Token, TokenDigest, TokenSecret, Verdict, VerdictSource } from "./token.ts";
import { MAX_SECRET_LENGTH, parseSecret } from "./token-form.ts";
import type { InvalidationTarget } from "./verdict-cache.ts";
import { VerdictCounts } from "./verdict-counts.ts";
import { confined, type Demands, hasExpired, NO_DEMANDS, type Subjects, verificationOf } from "./verification.ts";

export interface VerifyRequest {
  /** What was presented as a token. Anything at all. */
  readonly presented: string;
  /** The oldest observation that may decide, in milliseconds; Infinity leaves it to the cache's TTL. */
  readonly maxAgeMs: number;
  /** Decide only after the log has been applied up to here. */
  readonly minCursor: Cursor | undefined;
  readonly policy: Policy | undefined;
  readonly subjects?: Subjects;
  readonly signal: AbortSignal;
}

export interface Verification {
  readonly verdict: Verdict;
  /** What is known of the token, when it is. */
  readonly token: Token | undefined;
  readonly source: VerdictSource;
  /** When the upstream was asked for what decided (wall clock, milliseconds); `undefined` when it was not. */
  readonly observedAtMs: number | undefined;
  /** A place for whoever encodes it, to keep the outcome: many calls share what memory answers. Nobody here reads it. */
  encoded?: string | undefined;
}

export interface VerifierOptions extends ObserverOptions {
  /** Finds revocations that nobody told of; `undefined` to leave that out. */
  readonly revalidator?: Revalidator | undefined;
  /** Asked before a token that memory does not know is looked for anywhere else. @throws GatewayError to refuse it */
  readonly admitUnknown?: (() => void) | undefined;
  /** Where verdicts are counted; with no other verifier's when not given. */
  readonly counts?: VerdictCounts | undefined;
  readonly digest: (presented: string) => TokenDigest;
  /** How long a call without a deadline of its own waits for `minCursor`. */
  readonly minCursorTimeoutMs: number;
}

/**
 * The one place that decides a verdict.
 *
 * Every path to VALID goes through `#judge` or `#fromKnown`, and both look into the revocation facts after the last await
 * and before they return. What the caches hold is never the guard: a verdict that is written late, or read stale, meets
 * the fact there.
 */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #observer: Observer;
  readonly #malformed = verificationOf("invalid", undefined, "local", undefined);
  readonly counts: VerdictCounts;
  /** The longest staleness at which a cached verdict was used, in milliseconds. */
  worstStalenessMs = 0;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.counts = options.counts ?? new VerdictCounts();
    this.#observer = new Observer(options);
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
    const { verdict, token, observedAtMs } = verification;
    if ((verdict !== "valid" && verdict !== "not_granted") || token === undefined) return verification;
    if (this.#options.revocations.find(token.id) !== undefined) {
      return verificationOf("revoked", token, "fact", observedAtMs);
    }
    if (hasExpired(token, this.#options.clock)) {
      return verificationOf("expired", token, verification.source, observedAtMs);
    }
    return verification;
  }

  /** Forgets verdicts: what was observed up to now decides nothing any more, nor does what is being asked now. */
  invalidate(target: InvalidationTarget): void {
    this.#options.cache.invalidate(target);
  }

  /**
   * The token of a secret: from memory if this process has seen it, however long ago, else from the upstream. `undefined`
   * when the upstream does not accept the secret.
   */
  async tokenOf(secret: TokenSecret, signal: AbortSignal): Promise<Token | undefined> {
    const { cache, clock, digest, feed } = this.#options;
    const key = digest(secret);
    const known = cache.known(key);
    if (known !== undefined) return known.token;
    const nowMs = clock.monotonicMs();
    const refused = cache.refused(key);
    if (refused !== undefined && feed.isFresh(nowMs) && cache.isUsable(refused, nowMs, Number.POSITIVE_INFINITY)) {
      return undefined;
    }
    return (await this.#observer.ask(secret, key, "unknown", Number.POSITIVE_INFINITY, signal)).token;
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
    return secret === undefined ? this.#counted(this.#malformed) : this.#resolve(secret, digest, known, nowMs, request);
  }

  #recall(
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
    const { cache, clock, feed } = this.#options;
    const { token, observedAtMs } = known;
    if (this.#isRevoked(known)) return verificationOf("revoked", token, "fact", observedAtMs);
    if (token.revoked) return verificationOf("revoked", token, source, observedAtMs);
    if (hasExpired(token, clock)) return verificationOf("expired", token, source, observedAtMs);
    if (!feed.isFresh(nowMs) || !cache.isUsable(known, nowMs, demands.maxAgeMs)) return undefined;
    const stalenessMs = feed.stalenessMs(nowMs);
    if (stalenessMs > this.worstStalenessMs) this.worstStalenessMs = stalenessMs;
    const verdict = verdictOf(token, demands.policy);
    if (verdict !== "valid" || source !== "memory") return verificationOf(verdict, token, source, observedAtMs);
    known.valid ??= verificationOf(verdict, token, source, observedAtMs);
    return known.valid;
  }

  /** Asks the facts; while they are as they were when they knew nothing of the token, that is still the answer. */
  #isRevoked(known: KnownToken): boolean {
    const { revocations } = this.#options;
    if (known.clearIn === revocations.edition) return false;
    if (revocations.find(known.token.id) !== undefined) return true;
    known.clearIn = revocations.edition;
    return false;
  }

  /** What was known under this digest had the form of a secret when it became known. */
  #revalidate(known: KnownToken, secret: TokenSecret, digest: TokenDigest): void {
    this.#options.revalidator?.refresh(known, secret, {
      lookUp: () => this.#observer.lookUp(secret, digest, never()),
      ask: () => this.#observer.ask(secret, digest, "known", 0, never()),
    });
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
      if (verification !== undefined) return this.#counted(verification, request.subjects);
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
      return this.#counted(this.#judge(observation, known, request.policy), request.subjects);
    }
  }

  /** Runs after the last await of the slow path: what the facts say now is what counts. */
  #judge(observation: Observation, known: KnownToken | undefined, policy: Policy | undefined): Verification {
    const { token, observedAtMs } = observation;
    const { revocations, clock } = this.#options;
    const subject = token ?? known?.token;
    if (subject !== undefined && revocations.find(subject.id) !== undefined && !token?.revoked) {
      return verificationOf("revoked", subject, "fact", observedAtMs);
    }
    if (token === undefined) return verificationOf("invalid", undefined, "upstream", observedAtMs);
    if (token.revoked) return verificationOf("revoked", token, "upstream", observedAtMs);
    if (hasExpired(token, clock)) return verificationOf("expired", token, "upstream", observedAtMs);
    return verificationOf(verdictOf(token, policy), token, "upstream", observedAtMs);
  }

  #counted(verification: Verification, subjects?: Subjects): Verification {
    const answer = confined(verification, subjects);
    this.count(answer);
    return answer;
  }
}
