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
