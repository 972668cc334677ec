import { Flights } from "./flights.ts";
import { keyIdOf } from "./jwt.ts";
import { isKnown, type KnownToken, type Observation } from "./observation.ts";
import type { Clock, Lane, Upstream, VerdictStore } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import type { RevocationFeed } from "./revocation-feed.ts";
import type { Revocations } from "./revocations.ts";
import type { Sweeper } from "./sweeper.ts";
import type { TokenDigest, TokenSecret } from "./token.ts";
import type { VerdictCache } from "./verdict-cache.ts";

export interface ObserverOptions {
  readonly upstream: Upstream;
  /** Verdicts shared with other replicas; `undefined` where there are none. */
  readonly store: VerdictStore | undefined;
  readonly cache: VerdictCache;
  readonly revocations: Revocations;
  readonly feed: RevocationFeed;
  readonly recorder: Recorder;
  /** Told of the machines whose tokens are seen. */
  readonly sweeper?: Sweeper | undefined;
  readonly clock: Clock;
  /**
   * Stands for the credential that the upstream is asked with: another object after each change of it, which comes with
   * other digests. `undefined` where it never changes.
   */
  readonly credential?: (() => object) | undefined;
  /**
   * Whether one more revocation that was found out about by asking may be told to all; every one where this is not given.
   * What is not told is refused where it was found, and found again by whoever asks.
   */
  readonly mayTell?: (() => boolean) | undefined;
}

/** Where observations come from: what other replicas share, and the upstream. Remembers them, judges nothing. */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #lookUps: Flights<TokenDigest, KnownToken | undefined>;
  readonly #questions: Flights<TokenDigest, Observation>;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const nowMs = () => options.clock.monotonicMs();
    this.#lookUps = new Flights(nowMs);
    this.#questions = new Flights(nowMs);
  }

  /** What another replica observed, kept here with the age that it had there. */
  async lookUp(secret: TokenSecret, digest: TokenDigest, signal: AbortSignal): Promise<KnownToken | undefined> {
    const { store, cache, revocations } = this.#options;
    if (store === undefined) return undefined;
    const { epoch } = revocations.applied;
    return await this.#lookUps.join(digest, Number.NEGATIVE_INFINITY, signal, async () => {
      const observation = identified(await store.get(secret, epoch), secret);
      if (observation !== undefined) cache.put(digest, observation);
      return observation;
    });
  }

  /**
   * Asks the upstream, or joins those who are asking. A question under way is as old as its start, like a cached answer:
   * it may be joined by who accepts that age, and not at all while the facts are not fresh. The upstream may have decided
   * it before a revocation of which this replica has not heard, and nobody waits for a replica without contact.
   */
  async ask(
    secret: TokenSecret,
    digest: TokenDigest,
    lane: Lane,
    maxAgeMs: number,
    signal: AbortSignal,
  ): Promise<Observation> {
    const { clock, feed } = this.#options;
    const nowMs = clock.monotonicMs();
    const oldestMs = feed.isFresh(nowMs) ? nowMs - maxAgeMs : nowMs;
    return await this.#questions.join(digest, oldestMs, signal, (flightSignal) =>
      this.#observe(secret, digest, lane, flightSignal),
    );
  }

  /** Callers that shared a question which another had asked the upstream. */
  get joinedCount(): number {
    return this.#questions.joined;
  }

  /** Look-ups and questions under way. */
  get openCount(): number {
    return this.#questions.size + this.#lookUps.size;
  }

  async #observe(secret: TokenSecret, digest: TokenDigest, lane: Lane, signal: AbortSignal): Promise<Observation> {
    const { upstream, cache, store, clock, recorder, revocations } = this.#options;
    const { epoch } = revocations.applied;
    const credential = this.#options.credential?.();
    const observedAtMonotonicMs = clock.monotonicMs();
    const observedAtMs = clock.wallMs();
    const seen = await upstream.verifyToken(secret, lane, signal);
    const token = seen?.format === "jwt" ? { ...seen, keyId: keyIdOf(secret) } : seen;
    const observation = { token, observedAtMonotonicMs, observedAtMs, uses: 0 };
    cache.put(digest, observation);
    if (token !== undefined) this.#options.sweeper?.seen(token.subject);
    const { mayTell } = this.#options;
    if (token?.revoked && revocations.findFor(token) === undefined && (mayTell?.() ?? true)) {
      recorder.recordInBackground(recorder.factOf(token, "observed"));
    }
    // Not as another credential's: the store files it under the one that there is now.
    if (this.#options.credential?.() !== credential) return observation;
    // Under the epoch in which the question was asked: what an older incarnation of the log knew is not trusted later.
    if (isKnown(observation) && !observation.token.revoked && !cache.isInvalidated(observation)) {
      store?.put(secret, epoch, observation);
    }
    return observation;
  }
}

/** The signal of a question that nobody waits for. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** What is shared does not say which key a JWT is signed with; the JWT does. */
function identified(known: KnownToken | undefined, secret: TokenSecret): KnownToken | undefined {
  return known?.token.format === "jwt" ? { ...known, token: { ...known.token, keyId: keyIdOf(secret) } } : known;
}
