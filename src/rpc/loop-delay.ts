import type { Clock } from "../token/ports.ts";

const SAMPLE_INTERVAL_MS = 50;
/** A pause of the garbage collector or one long task holds up one sample; a queue that stands holds up all. */
const SAMPLES = 3;

/**
 * How late the event loop is: how much later than asked a timer is called, by the least of the last few times, so that
 * it is the delay that stands and not the one that passes.
 */
export class LoopDelay {
  readonly #clock: Clock;
  readonly #recentMs: number[] = new Array(SAMPLES).fill(0);
  #next = 0;
  /** In milliseconds. */
  standingMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Measures from now on, until the returned function is called. */
  start(): () => void {
    let cancel = () => {};
    const measure = () => {
      const dueMs = this.#clock.monotonicMs() + SAMPLE_INTERVAL_MS;
      cancel = this.#clock.after(SAMPLE_INTERVAL_MS, () => {
        this.#note(Math.max(0, this.#clock.monotonicMs() - dueMs));
        measure();
      });
    };
    measure();
    return () => cancel();
  }

  #note(delayMs: number): void {
    this.#recentMs[this.#next] = delayMs;
    this.#next = (this.#next + 1) % SAMPLES;
    this.standingMs = Math.min(...this.#recentMs);
  }
}
