import type { Clock } from "./ports.ts";
import type { CreatedToken } from "./token.ts";

/** A token with its secret, kept to be handed out again. Its instants are on the monotonic clock. */
export interface PooledToken extends CreatedToken {
  /** Start of the request that gave it: whoever had been revoked upstream by then would not have been given. */
  readonly askedAtMs: number;
  /** From its minting to its expiration, as the upstream dates them; Infinity when it never expires. */
  readonly lifetimeMs: number;
  /** When a younger one is to be asked for. */
  readonly renewAtMs: number;
  /** When it is handed out no more. */
  readonly endsAtMs: number;
  /** When it expires, if nobody had set the wall clock. */
  readonly diesAtMs: number;
}

export interface LifeOptions {
  readonly clock: Clock;
  /** How old a token may be and still be handed out: the life of one that never expires. */
  readonly maxAgeMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** A token is renewed when between these parts of its usable life are left: not by all replicas at once. */
const RENEW_LEFT_LEAST = 0.2;
const RENEW_LEFT_MOST = 0.4;

/** What must be left of a token for a caller who does not say: this, but no more than a part of its lifetime. */
const DEFAULT_NEED_MS = 60_000;
const DEFAULT_NEED_PART = 0.1;

/**
 * A token as it was just given. How much of its life is left is read from the wall clock once, now; from here on the
 * monotonic clock bounds it too, so that setting the wall clock back lengthens no life.
 */
export function pooledToken(created: CreatedToken, askedAtMs: number, options: LifeOptions): PooledToken {
  const { clock, maxAgeMs, random } = options;
  const { createdAtMs, expiresAtMs = Number.POSITIVE_INFINITY } = created.token;
  const nowMs = clock.monotonicMs();
  const lifetimeMs = Math.max(0, expiresAtMs - createdAtMs);
  const ageMs = Math.max(0, clock.wallMs() - createdAtMs);
  const leftMs = Math.min(lifetimeMs, expiresAtMs - clock.wallMs());
  const endsAtMs = nowMs + Math.min(leftMs, maxAgeMs - ageMs);
  const renewLeft = RENEW_LEFT_LEAST + (RENEW_LEFT_MOST - RENEW_LEFT_LEAST) * random();
  return {
    ...created,
    askedAtMs,
    lifetimeMs,
    renewAtMs: endsAtMs - renewLeft * Math.min(lifetimeMs, maxAgeMs),
    endsAtMs,
    diesAtMs: nowMs + leftMs,
  };
}

/**
 * Whether there is enough life left in a token.
 * @param needMs how much; `undefined` for the least that is of use
 */
export function lastsFor(pooled: PooledToken, needMs: number | undefined, clock: Clock): boolean {
  const nowMs = clock.monotonicMs();
  if (nowMs >= pooled.endsAtMs) return false;
  const { expiresAtMs = Number.POSITIVE_INFINITY } = pooled.token;
  const leftMs = Math.min(expiresAtMs - clock.wallMs(), pooled.diesAtMs - nowMs);
  return leftMs > 0 && leftMs >= (needMs ?? Math.min(DEFAULT_NEED_MS, DEFAULT_NEED_PART * pooled.lifetimeMs));
}
