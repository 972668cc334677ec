import type { Clock } from "../token/ports.ts";

/** So many lines in each second, and the number of those that were left out. */
export class LineBudget {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #secondBeganMs: number;
  #lines = 0;
  #suppressed = 0;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#secondBeganMs = clock.monotonicMs();
  }

  /** Whether one more may be written now. */
  take(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#secondBeganMs >= 1_000) {
      this.#secondBeganMs = nowMs;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= this.#perSecond) return true;
    this.#suppressed += 1;
    return false;
  }

  /** For a line that is written: how many were left out since the last one that was. */
  suppressed(): { readonly suppressed?: number } {
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed === 0 ? {} : { suppressed };
  }
}
