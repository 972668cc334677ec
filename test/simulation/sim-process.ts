import type { Clock } from "../../src/token/ports.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** What the wall clock of a replica that is exact shows when virtual time begins. */
export const WALL_START_MS = 1_700_000_000_000;

const SHORTEST_MS = 0.001;
/** So many looks at the clock within one instant mean that it will never end. */
const MOST_LOOKS = 20_000;

/**
 * One process: it has clocks of its own, can be stopped for a while (as by SIGSTOP or a long collection of garbage; its
 * monotonic clock goes on) and dies without a word.
 */
export class SimProcess implements Clock {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #monotonicOffsetMs: number;
  #wallSkewMs: number;
  #pausedUntilMs = 0;
  #alive = true;
  #looks = 0;
  #lookedAtMs = 0;
  wallJumped = false;

  constructor(scheduler: Scheduler, random: Random, wallSkewMs: number) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#wallSkewMs = wallSkewMs;
    this.#monotonicOffsetMs = random.between(0, 1_000_000) - scheduler.nowMs;
  }

  monotonicMs(): number {
    this.#looks = this.#lookedAtMs === this.#scheduler.nowMs ? this.#looks + 1 : 0;
    this.#lookedAtMs = this.#scheduler.nowMs;
    if (this.#looks > MOST_LOOKS) throw new Error("it goes round for ever");
    return this.#scheduler.nowMs + this.#monotonicOffsetMs;
  }

  wallMs(): number {
    return WALL_START_MS + this.#scheduler.nowMs + this.#wallSkewMs;
  }

  /** Never at the same instant: rounding must not make a timer fire again and again while time stands still. */
  after(delayMs: number, task: () => void): () => void {
    return this.#scheduler.after(Math.max(delayMs, SHORTEST_MS), () => this.run(task));
  }

  /** Runs `task` here: now, when the process goes on, or never when it is dead. */
  run(task: () => void): void {
    if (!this.#alive) return;
    if (this.isPaused) {
      // What waited for the process comes in any order once it goes on, as timers and sockets do.
      this.#scheduler.at(this.#pausedUntilMs + this.#random.between(0, 1), () => this.run(task));
      return;
    }
    task();
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = this.#scheduler.nowMs + forMs;
  }

  resume(): void {
    this.#pausedUntilMs = 0;
  }

  kill(): void {
    this.#alive = false;
  }

  jumpWall(byMs: number): void {
    this.#wallSkewMs += byMs;
    this.wallJumped = true;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get isPaused(): boolean {
    return this.#pausedUntilMs > this.#scheduler.nowMs;
  }
}
