import type { LogEntry } from "../../src/token/ports.ts";
import type { Plan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimProcess } from "./sim-process.ts";
import type { SimRedis } from "./sim-redis.ts";

/** Which of a replica's two connections to Redis carry nothing at present. Outlives the replica's restarts. */
export interface Cuts {
  commandsUntilMs: number;
  pushesUntilMs: number;
}

export interface LinkOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly plan: Plan;
  readonly redis: SimRedis;
  readonly process: SimProcess;
  readonly cuts: Cuts;
}

/** One replica's connections to Redis: everything takes time, overtakes, and may get lost on either way. */
export class SimLink {
  readonly #options: LinkOptions;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /**
   * Runs `command` at the primary and brings its result back. Rejects after `timeoutMs`, when nothing listens or when
   * aborted; the command may have run all the same, or may yet run.
   */
  request<T>(command: () => T, timeoutMs: number, signal?: AbortSignal): Promise<T> {
    const { scheduler, random, redis, process } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new Error("aborted"));
      const settle = (outcome: () => void) => {
        cancelTimer();
        signal?.removeEventListener("abort", onAbort);
        outcome();
      };
      const fail = (why: string) => settle(() => reject(new Error(why)));
      const onAbort = () => fail("aborted");
      const cancelTimer = process.after(timeoutMs, () => fail("no reply in time"));
      signal?.addEventListener("abort", onAbort, { once: true });
      if (this.#isLost()) return;

      const isRefused = random.chance(0.5);
      const reply = (outcome: () => void) => {
        if (!this.#isLost()) scheduler.after(this.#delayMs(), () => process.run(() => settle(outcome)));
      };
      const run = () => {
        const result = command();
        reply(() => resolve(result));
      };
      const refuse = () => {
        if (isRefused) reply(() => reject(new Error("refused")));
      };
      scheduler.after(this.#delayMs(), () => redis.receive(run, refuse));
    });
  }

  /** Pushes arrive late, twice, in any order or not at all. */
  subscribe(onEntry: (entry: LogEntry) => void): () => void {
    const { scheduler, random, plan, redis, process, cuts } = this.#options;
    return redis.subscribe((entry) => {
      for (let copies = random.chance(0.1) ? 2 : 1; copies > 0; copies -= 1) {
        if (random.chance(plan.pushLoss)) continue;
        scheduler.after(this.#delayMs(), () => {
          if (cuts.pushesUntilMs <= scheduler.nowMs) process.run(() => onEntry(entry));
        });
      }
    });
  }

  #delayMs(): number {
    const { random, plan } = this.#options;
    const [low, high] = plan.networkMs;
    return random.between(low, random.chance(0.9) ? low + (high - low) / 5 : high);
  }

  #isLost(): boolean {
    const { scheduler, random, plan, cuts } = this.#options;
    return cuts.commandsUntilMs > scheduler.nowMs || random.chance(plan.requestLoss);
  }
}
