import { expect, it } from "vitest";
import { LoopDelay } from "./loop-delay.ts";

/** A clock whose timers are as late as the test says. */
class LateClock {
  #nowMs = 0;
  #task: (() => void) | undefined;
  #delayMs = 0;

  wallMs = () => this.#nowMs;
  monotonicMs = () => this.#nowMs;

  after(delayMs: number, task: () => void): () => void {
    this.#task = task;
    this.#delayMs = delayMs;
    return () => {
      this.#task = undefined;
    };
  }

  fire(lateMs: number): void {
    this.#nowMs += this.#delayMs + lateMs;
    this.#task?.();
  }

  get isWaiting(): boolean {
    return this.#task !== undefined;
  }
}

it("tells the delay that stands, not one that passes, and forgets it with the first timer in time", () => {
  const clock = new LateClock();
  const delay = new LoopDelay(clock);
  const stop = delay.start();
  clock.fire(1000);
  clock.fire(0);
  clock.fire(500);
  clock.fire(400);
  expect(delay.standingMs).toBe(0);
  clock.fire(300);
  expect(delay.standingMs).toBe(300);
  clock.fire(600);
  expect(delay.standingMs).toBe(300);
  clock.fire(0);
  expect(delay.standingMs).toBe(0);
  stop();
  expect(clock.isWaiting).toBe(false);
});
