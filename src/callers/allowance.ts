import type { Clock } from "../token/ports.ts";

/** What one caller may ask of one process. */
export interface Limits {
  /** Calls per second in the long run; `undefined` for no bound. */
  readonly requestsPerSecond?: number | undefined;
  /** Calls at once after a pause; a second's worth when not given, and 1 at least. */
  readonly burst?: number | undefined;
  /** Calls and streams under way at once; `undefined` for no bound. */
  readonly concurrency?: number | undefined;
}

/** How much a caller uses and may use. Outlives the reload of the file that says what it may. */
export class Allowance {
  readonly #clock: Clock;
  #perMs = Number.POSITIVE_INFINITY;
  #burst = Number.POSITIVE_INFINITY;
  #left = Number.POSITIVE_INFINITY;
  #countedAtMs = 0;
  #maxInFlight = Number.POSITIVE_INFINITY;
  inFlight = 0;
  /** Calls that were let in. */
  admitted = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What has been used up stays so. */
  limit({ requestsPerSecond, burst, concurrency }: Limits): void {
    this.#maxInFlight = concurrency ?? Number.POSITIVE_INFINITY;
    if (requestsPerSecond === undefined) {
      this.#perMs = Number.POSITIVE_INFINITY;
      this.#left = Number.POSITIVE_INFINITY;
      return;
    }
    if (this.#perMs !== Number.POSITIVE_INFINITY) this.#refill();
    this.#countedAtMs = this.#clock.monotonicMs();
    this.#perMs = requestsPerSecond / 1000;
    this.#burst = Math.max(1, burst ?? requestsPerSecond);
    this.#left = Math.min(this.#left, this.#burst);
  }

  /** Whether as many calls are under way as may be. */
  get isBusy(): boolean {
    return this.inFlight >= this.#maxInFlight;
  }

  /**
   * Counts calls against the rate, unless it is used up. Several may use up more than is left: the caller waits the longer
   * for the next one.
   */
  take(count: number): boolean {
    if (this.#perMs === Number.POSITIVE_INFINITY) return true;
    this.#refill();
    if (this.#left < 1) return false;
    this.#left -= count;
    return true;
  }

  /** Counts calls that have been let in already. */
  charge(count: number): void {
    if (this.#perMs !== Number.POSITIVE_INFINITY) this.#left -= count;
  }

  /** How long until `take` succeeds, in milliseconds. */
  get waitMs(): number {
    return this.#left >= 1 ? 0 : (1 - this.#left) / this.#perMs;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#countedAtMs) * this.#perMs);
    this.#countedAtMs = nowMs;
  }
}
