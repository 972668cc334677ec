/** The emulator's idea of the time: a source in milliseconds since the epoch, plus what tests have advanced it by. */
export class EmulatorClock {
  readonly #source: () => number;
  #offsetMs = 0;

  constructor(source: () => number) {
    this.#source = source;
  }

  nowMs(): number {
    return Math.floor(this.#source()) + this.#offsetMs;
  }

  get offsetMs(): number {
    return this.#offsetMs;
  }

  /**
   * Moves the clock forward. It never goes back, except by `reset`.
   *
   * @throws RangeError unless `ms` is a whole number from 0 to 10 years
   */
  advance(ms: number): void {
    if (!Number.isInteger(ms) || ms < 0 || ms > MAX_ADVANCE_MS) {
      throw new RangeError(`the clock advances by a whole number of milliseconds from 0 to ${MAX_ADVANCE_MS}`);
    }
    this.#offsetMs += ms;
  }

  reset(): void {
    this.#offsetMs = 0;
  }
}

const MAX_ADVANCE_MS = 315_360_000_000;
