/** Shares are counted in billionths: sums of fractions would be a little short of the whole. */
const WHOLE = 1e9;

/** Chooses a share of what happens, evenly and without chance: of 0.01 every hundredth. */
export class Share {
  readonly #part: number;
  #owed = 0;

  /** @param ratio from 0, nothing, to 1, everything */
  constructor(ratio: number) {
    this.#part = Math.round(ratio * WHOLE);
  }

  /** Whether the next one will be chosen. */
  get isDue(): boolean {
    return this.#owed + this.#part >= WHOLE;
  }

  /** Something happened. Returns whether it is chosen. */
  take(): boolean {
    this.#owed += this.#part;
    if (this.#owed < WHOLE) return false;
    this.#owed -= WHOLE;
    return true;
  }
}
