import type { KnownToken } from "../../src/token/observation.ts";
import type { VerdictStore } from "../../src/token/ports.ts";
import type { TokenSecret } from "../../src/token/token.ts";
import type { SimLink } from "./sim-link.ts";
import type { SimProcess } from "./sim-process.ts";
import type { SimRedis } from "./sim-redis.ts";

/** Verdicts shared through the simulated Redis. Ages are exact: they cross processes as durations, never as clock times. */
export class SimStore implements VerdictStore {
  readonly #link: SimLink;
  readonly #redis: SimRedis;
  readonly #process: SimProcess;
  readonly #ttlMs: number;
  readonly #budgetMs: number;

  constructor(link: SimLink, redis: SimRedis, process: SimProcess, ttlMs: number, budgetMs: number) {
    this.#link = link;
    this.#redis = redis;
    this.#process = process;
    this.#ttlMs = ttlMs;
    this.#budgetMs = budgetMs;
  }

  async get(secret: TokenSecret, epoch: string): Promise<KnownToken | undefined> {
    const find = () => {
      const found = this.#redis.data.verdicts.get(`${epoch}:${secret}`);
      return found !== undefined && found.expiresAtMs > this.#redis.nowMs ? found : undefined;
    };
    const found = await this.#link.request(find, this.#budgetMs).catch(() => undefined);
    if (found === undefined) return undefined;
    const ageMs = this.#redis.nowMs - found.observedAtMs;
    return {
      token: found.token,
      uses: 0,
      observedAtMonotonicMs: this.#process.monotonicMs() - ageMs,
      observedAtMs: this.#process.wallMs() - ageMs,
    };
  }

  async claim(what: string, leaseMs: number): Promise<boolean> {
    const claim = () => {
      const { claims } = this.#redis.data;
      const isFree = (claims.get(what) ?? 0) <= this.#redis.nowMs;
      const untilMs = this.#redis.nowMs + leaseMs;
      if (isFree) this.#redis.write((data) => data.claims.set(what, untilMs));
      return isFree;
    };
    return await this.#link.request(claim, this.#budgetMs).catch(() => false);
  }

  put(secret: TokenSecret, epoch: string, { token, observedAtMonotonicMs }: KnownToken): void {
    const observedAtMs = this.#redis.nowMs - (this.#process.monotonicMs() - observedAtMonotonicMs);
    const verdict = { token, observedAtMs, expiresAtMs: observedAtMs + this.#ttlMs };
    const save = () => this.#redis.write((data) => data.verdicts.set(`${epoch}:${secret}`, verdict));
    this.#link.request(save, this.#budgetMs).catch(() => undefined);
  }
}
