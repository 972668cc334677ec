import { LRUCache } from "lru-cache";
import { canceled, GatewayError } from "./errors.ts";
import { failureAfter, outlived, unsure, whileItLasts } from "./pool-failure.ts";
import { openSlot, type PoolSlot, type PoolTarget, slotBytes } from "./pool-slot.ts";
import { lastsFor, type PooledToken } from "./pooled-token.ts";
import type { Clock, UnknownAdmission, Upstream } from "./ports.ts";
import type { RevocationFeed } from "./revocation-feed.ts";
import type { Revocations } from "./revocations.ts";
import type { CreatedToken } from "./token.ts";
import { TokenSupply } from "./token-supply.ts";

export interface TokenPoolOptions {
  readonly upstream: Upstream;
  readonly revocations: Revocations;
  readonly feed: RevocationFeed;
  readonly clock: Clock;
  /** How many tokens are held at most; as many places again may wait for a first one. */
  readonly maxTokens: number;
  /** Bound on the estimated size of each of the two, claims included. */
  readonly maxBytes: number;
  /** How old a token may be and still be handed out: the life of one that never expires. */
  readonly maxAgeMs: number;
  /** A token that nobody has wanted for this long is not renewed. */
  readonly idleMs: number;
  /** Asked before a creation that a caller would wait for. */
  readonly admission?: UnknownAdmission | undefined;
  /** Uniform in [0, 1). For jitter only. */
  readonly random?: (() => number) | undefined;
}

export interface AcquireRequest extends PoolTarget {
  /** How long the token must have to live, in milliseconds; `undefined` for the least that is of use. */
  readonly minRemainingMs: number | undefined;
  readonly signal: AbortSignal;
}

export interface PoolCounts {
  /** Answered with a token that was held. */
  hits: number;
  /** Answered with the outcome of a creation that another caller, or the pool itself, had begun. */
  joined: number;
  /** Creations begun because a caller had to wait for one. */
  creations: number;
  /** Creations begun on nobody's behalf: ahead of need, or in place of a revoked token. */
  renewals: number;
  /** Creations that failed. */
  failures: number;
  /** Tokens dropped because the pool was full. */
  evictions: number;
}

const TICK_MS = 1_000;
const MAX_ROUNDS = 4;

/**
 * Tokens to call others with, held in memory and nowhere else, and handed out to many. There is at most one creation under
 * way for a place in the pool; no caller's leaving ends it, because what it mints is paid for.
 *
 * A held token leaves only through `#ready`, which looks into the revocation facts last and awaits nothing. While this
 * process cannot follow the log, nobody who revokes waits for it: a caller who comes then is given only what the upstream was
 * asked for after that, because the upstream gives no token that is revoked.
 */
export class TokenPool {
  readonly counts: PoolCounts = { hits: 0, joined: 0, creations: 0, renewals: 0, failures: 0, evictions: 0 };
  readonly #options: TokenPoolOptions;
  readonly #random: () => number;
  readonly #supply: TokenSupply;
  readonly #full: LRUCache<string, PoolSlot>;
  /** Apart, so that claims that the upstream refuses cannot push out good tokens. */
  readonly #empty: LRUCache<string, PoolSlot>;
  /** One for each creation under way. */
  readonly #underWay = new Set<AbortController>();
  #isClosed = false;
  readonly #stopListening: () => void;
  /** Tokens given to requests that began by then do not count. */
  #distrustedUntilMs = Number.NEGATIVE_INFINITY;
  #cancelTick: (() => void) | undefined;

  constructor(options: TokenPoolOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#supply = new TokenSupply({ ...options, random: this.#random });
    const bounds = { max: options.maxTokens, maxSize: options.maxBytes, sizeCalculation: slotBytes };
    this.#empty = new LRUCache(bounds);
    this.#full = new LRUCache({
      ...bounds,
      dispose: (_slot, _key, why) => {
        if (why === "evict") this.counts.evictions += 1;
      },
    });
    this.#stopListening = options.feed.listen(() => this.#dropRevoked());
  }

  /**
   * A good token, from memory where it can be: then without awaiting anything.
   * @throws GatewayError ARGUMENT_INVALID when no such token lives as long as is needed; TOKEN_UNSURE; CANCELED; DRAINING;
   *   those of the upstream
   */
  acquire(request: AcquireRequest): CreatedToken | Promise<CreatedToken> {
    const { minRemainingMs, signal } = request;
    if (signal.aborted) throw canceled();
    const nowMs = this.#options.clock.monotonicMs();
    const slot = this.#slotOf(request);
    slot.wantedAtMs = nowMs;
    const ready = this.#ready(slot, minRemainingMs, Number.POSITIVE_INFINITY);
    if (ready === undefined) return this.#wait(slot, minRemainingMs, signal);
    this.counts.hits += 1;
    if (nowMs >= ready.renewAtMs) this.#renew(slot);
    return ready;
  }

  /** The log started over and may have lost facts: what was given until now is not handed out any more. */
  distrust(): void {
    this.#distrustedUntilMs = this.#options.clock.monotonicMs();
  }

  /** Tokens held. */
  get size(): number {
    return this.#full.size;
  }

  /** Creations under way end, and every secret is forgotten. */
  close(): void {
    this.#isClosed = true;
    for (const controller of this.#underWay) controller.abort();
    this.#stopListening();
    this.#cancelTick?.();
    this.#full.clear();
    this.#empty.clear();
  }

  #slotOf(target: PoolTarget): PoolSlot {
    const opened = openSlot(target);
    const known = this.#full.get(opened.key) ?? this.#empty.get(opened.key);
    if (known !== undefined) return known;
    this.#empty.set(opened.key, opened);
    this.#scheduleTick();
    return opened;
  }

  /**
   * The held token, if it can be handed out now.
   * @param askedSinceMs what was asked for since then will do, even if the log cannot be followed now
   */
  #ready(slot: PoolSlot, needMs: number | undefined, askedSinceMs: number): PooledToken | undefined {
    const { clock, feed } = this.#options;
    const { held } = slot;
    if (held === undefined || held.askedAtMs <= this.#distrustedUntilMs || !lastsFor(held, needMs, clock)) {
      return undefined;
    }
    const isVouchedFor = held.askedAtMs >= askedSinceMs || feed.isFresh(clock.monotonicMs());
    return isVouchedFor && !this.#supply.isRevoked(held.token) ? held : undefined;
  }

  async #wait(slot: PoolSlot, needMs: number | undefined, signal: AbortSignal): Promise<CreatedToken> {
    const { clock, feed } = this.#options;
    const beganAtMs = clock.monotonicMs();
    const askedSinceMs = feed.isFresh(beganAtMs) ? Number.NEGATIVE_INFINITY : beganAtMs;
    let hasBegun = false;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const isOwn = slot.creation === undefined;
      if (isOwn) this.#refuseToAsk(slot, needMs);
      const creation = slot.creation ?? this.#begin(slot, needMs);
      if (isOwn) this.counts.creations += 1;
      hasBegun ||= isOwn;
      await untilAborted(creation.settled, signal);
      const ready = this.#ready(slot, needMs, askedSinceMs);
      if (ready !== undefined) {
        if (!hasBegun) this.counts.joined += 1;
        return ready;
      }
      // What was asked for with this need in mind does not meet it: nothing that lives longer can be had.
      if (isOwn && slot.failure === undefined && isTooShort(slot.held, needMs, clock)) throw outlived();
    }
    if (slot.failure !== undefined) throw whileItLasts(slot.failure, clock.monotonicMs());
    throw unsure("every token that the upstream gave was revoked as it came");
  }

  /** @throws GatewayError when the upstream cannot help, or is not to be asked yet */
  #refuseToAsk({ kind, failure, lifetimeMs }: PoolSlot, needMs = 0): void {
    const { clock, feed } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#isClosed) throw new GatewayError("DRAINING", "the gateway is shutting down");
    const longestMs = kind.ttlSeconds === undefined ? lifetimeMs : kind.ttlSeconds * 1_000;
    if (longestMs !== undefined && needMs >= longestMs) throw outlived();
    if (failure !== undefined && nowMs < failure.retryAtMs) throw whileItLasts(failure, nowMs);
    // The upstream cannot say that a JWT is revoked, and minting one for every question would cost without end.
    if (kind.format === "jwt" && !feed.isFresh(nowMs)) {
      throw unsure("the log of revocations cannot be followed, and only it can tell whether a JWT is revoked");
    }
    this.#options.admission?.admitUnknown();
  }

  #renew(slot: PoolSlot): void {
    const { clock, feed } = this.#options;
    const nowMs = clock.monotonicMs();
    if (slot.creation !== undefined || nowMs < (slot.failure?.retryAtMs ?? 0) || !feed.isFresh(nowMs)) return;
    this.counts.renewals += 1;
    this.#begin(slot, undefined);
  }

  #begin(slot: PoolSlot, needMs: number | undefined): { readonly settled: Promise<void> } {
    const { clock, feed } = this.#options;
    const order = {
      kind: slot.kind,
      needMs,
      // Nobody can say whether the held token was revoked but the upstream, by giving it again.
      wants: feed.isFresh(clock.monotonicMs()) ? ("young" as const) : ("live" as const),
      lifetimeMs: slot.lifetimeMs ?? slot.held?.lifetimeMs ?? secondsToMs(slot.kind.ttlSeconds),
    };
    const controller = new AbortController();
    this.#underWay.add(controller);
    const settled = this.#supply
      .obtain(order, controller.signal)
      .then(
        (supplied) => {
          slot.held = supplied;
          slot.failure = undefined;
          if (supplied.isNew) slot.lifetimeMs = supplied.lifetimeMs;
        },
        (error: unknown) => {
          this.counts.failures += 1;
          slot.failure = failureAfter(slot.failure, error, clock.monotonicMs(), this.#random);
        },
      )
      .then(() => {
        this.#underWay.delete(controller);
        slot.creation = undefined;
        if (!this.#isClosed) this.#file(slot);
      });
    slot.creation = { settled };
    return slot.creation;
  }

  #file(slot: PoolSlot): void {
    const [to, from] = slot.held === undefined ? [this.#empty, this.#full] : [this.#full, this.#empty];
    from.delete(slot.key);
    to.set(slot.key, slot);
  }

  #dropRevoked(): void {
    for (const slot of [...this.#full.values()]) {
      if (slot.held === undefined || !this.#supply.isRevoked(slot.held.token)) continue;
      slot.held = undefined;
      if (this.#isWanted(slot)) this.#renew(slot);
      this.#file(slot);
    }
  }

  /** Renews what is wanted, forgets what has ended. */
  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#dropRevoked();
    for (const slot of [...this.#full.values()]) {
      if (slot.held === undefined || nowMs >= slot.held.endsAtMs) {
        slot.held = undefined;
        this.#file(slot);
      } else if (nowMs >= slot.held.renewAtMs && this.#isWanted(slot)) this.#renew(slot);
    }
    for (const slot of [...this.#empty.values()]) {
      const isPaused = slot.failure !== undefined && nowMs < slot.failure.retryAtMs;
      if (slot.creation === undefined && !isPaused && !this.#isWanted(slot)) this.#empty.delete(slot.key);
    }
    this.#cancelTick = undefined;
    this.#scheduleTick();
  }

  #scheduleTick(): void {
    if (this.#cancelTick !== undefined || this.#full.size + this.#empty.size === 0) return;
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  #isWanted({ wantedAtMs }: PoolSlot): boolean {
    return this.#options.clock.monotonicMs() - wantedAtMs <= this.#options.idleMs;
  }
}

function isTooShort(held: PooledToken | undefined, needMs: number | undefined, clock: Clock): boolean {
  return held !== undefined && lastsFor(held, undefined, clock) && !lastsFor(held, needMs, clock);
}

function secondsToMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

/** Waits no longer than the caller does. What is waited for never rejects. */
function untilAborted(settled: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(canceled());
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    void settled.then(() => {
      signal.removeEventListener("abort", leave);
      resolve();
    });
  });
}
