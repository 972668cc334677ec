import type { Clock } from "../../../src/token/ports.ts";

interface Timer {
  readonly atMs: number;
  readonly task: () => void;
}

const WALL_START_MS = Date.UTC(2026, 0, 1);
const EVENTUALLY_MS = 15_000;

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
  #nowMs = 1000;
  readonly #timers = new Set<Timer>();

  get pendingTimers(): number {
    return this.#timers.size;
  }

  wallMs(): number {
    return WALL_START_MS + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Runs the timers that come due, each at its own instant. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (let timer = this.#nextDue(endMs); timer !== undefined; timer = this.#nextDue(endMs)) {
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.task();
    }
    this.#nowMs = endMs;
  }

  #nextDue(endMs: number): Timer | undefined {
    return [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
  }
}

/** Lets the event loop turn until `condition` holds. Rejects when it does not in a time that no healthy run needs. */
export async function eventually(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + EVENTUALLY_MS;
  while (!condition()) {
    if (performance.now() > endMs) {
      throw new Error(`never came true: ${condition}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
