/**
 * What many clients want done at once, in the order in which they came. Each round of the event loop one of them has its turn, so
 * that everybody else waits for one of them and not for all, however many they are.
 */
export class Turns {
  /** Calls so far that were not answered at once. */
  calls = 0;
  readonly #waiting = new Set<() => void>();
  #isScheduled = false;
  /** This round's turn was not waited for. */
  #isTaken = false;

  /** Has `onTurn` called once all that came before have been. */
  wait(onTurn: () => void): void {
    this.#waiting.add(onTurn);
    this.#schedule();
  }

  /** Takes the turn of this round, if nobody has had it and nobody waits. */
  tryTake(): boolean {
    if (this.#isScheduled) return false;
    this.#isTaken = true;
    this.#schedule();
    return true;
  }

  /** Whoever waited with `onTurn` does not any more. */
  leave(onTurn: () => void): void {
    this.#waiting.delete(onTurn);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#isScheduled = false;
    if (this.#isTaken) this.#isTaken = false;
    else this.#giveOne();
    if (this.#waiting.size > 0) this.#schedule();
  };

  #giveOne(): void {
    const [onTurn] = this.#waiting;
    if (onTurn === undefined) return;
    this.#waiting.delete(onTurn);
    onTurn();
  }
}

/**
 * What a client that sends without a pause has read before all others get their turn. Of one over TLS less: its records are
 * given one by one, each less than what is read in turns by itself, but several before anybody else is looked at.
 */
const TURN_BYTES = { clear: 64 * 1024, tls: 16 * 1024 };
/** Input that comes within so long is of one run. */
const RUN_MS = 5;

/** What one client sends without a pause: the runtime reads up to two mebibytes of it before it looks at the next. */
export class Run {
  readonly #turnBytes: number;
  #beganMs = 0;
  #bytes = 0;

  constructor(carrier: keyof typeof TURN_BYTES) {
    this.#turnBytes = TURN_BYTES[carrier];
  }

  /** Notes that so many bytes came. True when it is the others' turn: then another run begins. */
  isTooLong(bytes: number, nowMs: number): boolean {
    if (nowMs - this.#beganMs > RUN_MS) {
      this.#beganMs = nowMs;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    if (this.#bytes < this.#turnBytes) return false;
    this.#bytes = 0;
    return true;
  }
}
