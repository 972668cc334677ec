interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  canceled: boolean;
}

/** Virtual time: a queue of events, each run at its instant, with every promise settled before the next. */
export class Scheduler {
  /** A binary heap, the earliest event first. */
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #scheduled = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Runs `run` at `atMs`, or as soon as possible when that has passed. Returns how to cancel it. */
  at(atMs: number, run: () => void): () => void {
    const event = { atMs: Math.max(atMs, this.#nowMs), order: this.#scheduled, run, canceled: false };
    this.#scheduled += 1;
    this.#push(event);
    return () => {
      event.canceled = true;
    };
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.#nowMs + delayMs, run);
  }

  async runUntil(endMs: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#pop();
      if (next.canceled) continue;
      this.#nowMs = next.atMs;
      next.run();
      await settled();
    }
    this.#nowMs = Math.max(endMs, this.#nowMs);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let below = heap[child];
      const right = heap[child + 1];
      if (below !== undefined && right !== undefined && isBefore(right, below)) {
        below = right;
        child += 1;
      }
      if (below === undefined || isBefore(last, below)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

/** Node runs a tick that was asked for inside a microtask only when no microtask is left: all promises have settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
