/** Chooses a share of what happens, evenly and without chance: of 0.01 every hundredth. */
export class Share {
  readonly #ratio: number;
  #owed = 0;

  /** @param ratio from 0, nothing, to 1, everything */
  constructor(ratio: number) {
    this.#ratio = ratio;
  }

  /** Whether the next one will be chosen. */
  get isDue(): boolean {
    return this.#owed + this.#ratio >= 1;
  }

  /** Something happened. Returns whether it is chosen. */
  take(): boolean {
    this.#owed += this.#ratio;
    if (this.#owed < 1) return false;
    this.#owed -= 1;
    return true;
  }
}
