import { Digester } from "../token/digest.ts";
import type { KnownToken } from "../token/observation.ts";
import type { Clock, VerdictStore } from "../token/ports.ts";
import type { TokenSecret } from "../token/token.ts";

interface Kept<T> {
  readonly value: T;
  readonly untilMs: number;
}

/** What several stores share, as replicas share a Redis. */
export class SharedVerdicts {
  readonly verdicts = new Map<string, Kept<KnownToken>>();
  readonly claims = new Map<string, Kept<true>>();
}

export interface MemoryVerdictStoreOptions {
  /** One for all stores that share. */
  readonly clock: Clock;
  readonly scope: string;
  readonly ttlMs: number;
  readonly shared?: SharedVerdicts;
}

/** Verdicts shared by replicas in one process. Expired ones are dropped when they are asked for. */
export class MemoryVerdictStore implements VerdictStore {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #shared: SharedVerdicts;
  readonly #digester: Digester;

  constructor({ clock, scope, ttlMs, shared = new SharedVerdicts() }: MemoryVerdictStoreOptions) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#shared = shared;
    // The same key everywhere: stores that share must find each other's verdicts.
    this.#digester = new Digester(scope, Buffer.alloc(32));
  }

  async get(secret: TokenSecret, epoch: string): Promise<KnownToken | undefined> {
    const kept = this.#find(this.#shared.verdicts, `${epoch}:${this.#digester.of(secret)}`);
    return kept === undefined ? undefined : { ...kept, uses: 0 };
  }

  async claim(secret: TokenSecret, leaseMs: number): Promise<boolean> {
    const key = this.#digester.of(secret);
    if (this.#find(this.#shared.claims, key)) return false;
    this.#shared.claims.set(key, { value: true, untilMs: this.#clock.monotonicMs() + leaseMs });
    return true;
  }

  put(secret: TokenSecret, epoch: string, observation: KnownToken): void {
    const { token, observedAtMs, observedAtMonotonicMs } = observation;
    const lifeMs = Math.min(this.#ttlMs, (token.expiresAtMs ?? Number.POSITIVE_INFINITY) - observedAtMs);
    const untilMs = observedAtMonotonicMs + lifeMs;
    if (untilMs <= this.#clock.monotonicMs()) return;
    this.#shared.verdicts.set(`${epoch}:${this.#digester.of(secret)}`, { value: { ...observation }, untilMs });
  }

  #find<T>(kept: Map<string, Kept<T>>, key: string): T | undefined {
    const found = kept.get(key);
    if (found === undefined) return undefined;
    if (found.untilMs > this.#clock.monotonicMs()) return found.value;
    kept.delete(key);
    return undefined;
  }
}
