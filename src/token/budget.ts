import type { Clock } from "./ports.ts";

export interface BudgetOptions {
  readonly clock: Clock;
  readonly perSecond: number;
  readonly perDay: number;
}

const DAY_MS = 86_400_000;

/** How many calls may be made on nobody's behalf: so many a second, with bursts of one second's worth, and so many a day. */
export class Budget {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #perDay: number;
  #tokens: number;
  #filledAtMs: number;
  #dayBeganMs: number;
  #takenToday = 0;
  /** Calls that were not made because the budget was used up. */
  refused = 0;
  taken = 0;

  constructor({ clock, perSecond, perDay }: BudgetOptions) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#perDay = perDay;
    this.#tokens = perSecond;
    this.#filledAtMs = clock.monotonicMs();
    this.#dayBeganMs = this.#filledAtMs;
  }

  /** Whether one more call may be made now. If so it counts as made. */
  take(): boolean {
    this.#refill();
    if (this.#tokens < 1 || this.#takenToday >= this.#perDay) {
      this.refused += 1;
      return false;
    }
    this.#tokens -= 1;
    this.#takenToday += 1;
    this.taken += 1;
    return true;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((nowMs - this.#filledAtMs) / 1_000) * this.#perSecond);
    this.#filledAtMs = nowMs;
    if (nowMs - this.#dayBeganMs < DAY_MS) return;
    this.#dayBeganMs = nowMs;
    this.#takenToday = 0;
  }
}
