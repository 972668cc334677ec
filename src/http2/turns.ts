/**
 * Clients that send without a pause, in the order in which they are read on. Each round of the event loop one of them is,
 * so that all others wait for one of them and not for all, however many they are.
 */
export class Turns {
  /** Calls so far that were not answered at once. */
  calls = 0;
  readonly #waiting = new Set<() => void>();
  #isScheduled = false;

  /** Has `onTurn` called once all that came before have been. */
  wait(onTurn: () => void): void {
    this.#waiting.add(onTurn);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#isScheduled = false;
    const [onTurn] = this.#waiting;
    if (onTurn === undefined) return;
    this.#waiting.delete(onTurn);
    onTurn();
    if (this.#waiting.size > 0) this.#schedule();
  };
}
