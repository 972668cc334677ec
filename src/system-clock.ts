import { performance } from "node:perf_hooks";
import type { Clock } from "./token/ports.ts";

/** The clocks of this machine. A pending task does not keep the process alive. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
