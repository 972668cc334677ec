import type { KeyObject } from "node:crypto";
import { LRUCache } from "lru-cache";
import { GatewayError } from "./errors.ts";
import type { Clock, KeyEndpoint, SigningKeys } from "./ports.ts";
import { importJwk, type Jwk } from "./signing-keys.ts";
import { unlessAborted } from "./unless-aborted.ts";

export interface IssuerKeysOptions {
  readonly endpoint: KeyEndpoint;
  readonly clock: Clock;
  /** How often the set is fetched anew, in milliseconds. */
  readonly refreshMs: number;
  /** The least time between the starts of two fetches that JWTs with unknown keys cause. */
  readonly cooldownMs: number;
  /** How long the last good set counts while the endpoint does not give another. */
  readonly maxAgeMs: number;
  readonly onError: (error: unknown) => void;
}

interface HeldKey {
  readonly jwk: Jwk;
  readonly key: KeyObject;
}

/** Ids of keys that are remembered not to exist, so that made-up ones do not fill memory. */
const MAX_MISSING = 1_000;
const FIRST_RETRY_MS = 1_000;

/**
 * The keys that the issuer publishes, replaced as a whole by every fetch: a key that is not in the last set counts no more.
 * Fetches are shared by all who wait for one. A key that a JWT names and the set lacks causes one, unless the last one
 * began less than a cooldown ago; no JWT names where to fetch from.
 */
export class IssuerKeys implements SigningKeys {
  readonly #options: IssuerKeysOptions;
  /** The fetch under way. Never rejects, and belongs to nobody: who leaves does not end it. */
  #fetching: Promise<void> | undefined;
  #held = new Map<string, HeldKey>();
  /** When the fetch began that brought the set; monotonic. */
  #heldSinceMs = Number.NEGATIVE_INFINITY;
  /** When the last fetch began. */
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #failuresInARow = 0;
  /** Until when a key is known not to be in the set: a fetch that began after a JWT named it did not bring it. */
  readonly #missing = new LRUCache<string, number>({ max: MAX_MISSING });
  readonly #closing = new AbortController();
  #cancelRefresh = () => {};

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /** Fetches the set now and from then on. Nobody needs to wait for it. */
  start(): void {
    void this.#refresh();
  }

  /** Fetches the set anew, after what is being fetched: the endpoint may be another. Until then the last one counts. */
  renew(): void {
    this.#cancelRefresh();
    void (this.#fetching ?? Promise.resolve()).then(() => this.#refresh());
  }

  find(keyId: string | undefined, nowMs: number): KeyObject | "none" | undefined {
    if (keyId === undefined) return "none";
    if (nowMs - this.#heldSinceMs > this.#options.maxAgeMs) return undefined;
    const held = this.#held.get(keyId);
    if (held !== undefined) return held.key;
    return nowMs < (this.#missing.get(keyId) ?? Number.NEGATIVE_INFINITY) ? "none" : undefined;
  }

  /** @throws GatewayError SIGNING_KEY_UNKNOWN, CANCELED */
  async reach(keyId: string | undefined, signal: AbortSignal): Promise<boolean> {
    const { clock, cooldownMs, maxAgeMs } = this.#options;
    const askedAtMs = clock.monotonicMs();
    if (this.#fetching !== undefined || this.#isDue(askedAtMs)) await unlessAborted(this.#fetch(), signal);
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#heldSinceMs > maxAgeMs) return false;
    if (keyId === undefined || this.#held.has(keyId)) return true;
    if (this.#heldSinceMs < askedAtMs) throw this.#tooEarly(nowMs);
    this.#missing.set(keyId, nowMs + cooldownMs);
    return true;
  }

  close(): void {
    this.#closing.abort();
    this.#cancelRefresh();
  }

  /** After a failure sooner than after a success, at first: the first of them leaves nothing to decide with. */
  #isDue(nowMs: number): boolean {
    return nowMs - this.#fetchedAtMs >= this.#pauseMs();
  }

  #pauseMs(): number {
    const { cooldownMs } = this.#options;
    return this.#failuresInARow === 0
      ? cooldownMs
      : Math.min(cooldownMs, FIRST_RETRY_MS * 2 ** (this.#failuresInARow - 1));
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchSet().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchSet(): Promise<void> {
    const { endpoint, clock, onError } = this.#options;
    const startedAtMs = clock.monotonicMs();
    this.#fetchedAtMs = startedAtMs;
    try {
      this.#replace(await endpoint.fetchKeys(this.#closing.signal), startedAtMs);
      this.#failuresInARow = 0;
    } catch (error) {
      this.#failuresInARow += 1;
      if (!this.#closing.signal.aborted) onError(error);
    }
  }

  /** A key that has not changed stays the same object: what was verified with it need not be verified again. */
  #replace(jwks: readonly Jwk[], startedAtMs: number): void {
    const next = new Map<string, HeldKey>();
    for (const jwk of jwks) {
      const held = this.#held.get(jwk.keyId);
      const key = held !== undefined && isSameKey(held.jwk, jwk) ? held.key : importJwk(jwk);
      if (key !== undefined) next.set(jwk.keyId, { jwk, key });
    }
    if (next.size === 0) throw new GatewayError("UPSTREAM_BAD_RESPONSE", "the key set holds no key that can be used");
    this.#held = next;
    this.#heldSinceMs = startedAtMs;
  }

  async #refresh(): Promise<void> {
    await this.#fetch();
    if (this.#closing.signal.aborted) return;
    const delayMs = this.#failuresInARow === 0 ? this.#options.refreshMs : this.#pauseMs();
    this.#cancelRefresh = this.#options.clock.after(delayMs, () => void this.#refresh());
  }

  #tooEarly(nowMs: number): GatewayError {
    const retryAfterMs = Math.max(1, Math.ceil(this.#fetchedAtMs + this.#pauseMs() - nowMs));
    const message = "the token is signed with a key that is not in the issuer's key set as of the last fetch";
    return new GatewayError("SIGNING_KEY_UNKNOWN", message, { retryAfterMs });
  }
}

function isSameKey(a: Jwk, b: Jwk): boolean {
  return a.modulus === b.modulus && a.exponent === b.exponent;
}
