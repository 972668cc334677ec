import type { Clock } from "../../src/token/ports.ts";

interface Task {
  readonly atMs: number;
  readonly run: () => void;
}

/** A clock that moves only when told to. Wall and monotonic time can be set apart. */
export class FakeClock implements Clock {
  #monotonicMs = 1_000_000;
  #wallMs = 1_700_000_000_000;
  readonly #tasks = new Set<Task>();

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const task = { atMs: this.#monotonicMs + delayMs, run };
    this.#tasks.add(task);
    return () => this.#tasks.delete(task);
  }

  /** Moves both clocks, running what falls due on the way, in order. */
  advance(byMs: number): void {
    const end = this.#monotonicMs + byMs;
    for (;;) {
      const due = [...this.#tasks].filter((task) => task.atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#tasks.delete(due);
      this.#move(Math.max(0, due.atMs - this.#monotonicMs));
      due.run();
    }
    this.#move(end - this.#monotonicMs);
  }

  /** The wall clock alone, as when somebody sets it. */
  jumpWall(byMs: number): void {
    this.#wallMs += byMs;
  }

  get pendingTasks(): number {
    return this.#tasks.size;
  }

  #move(byMs: number): void {
    this.#monotonicMs += byMs;
    this.#wallMs += byMs;
  }
}

/** Lets everything that can go on without the clock go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
