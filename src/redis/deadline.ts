import { canceled } from "../token/errors.ts";
import type { Clock } from "../token/ports.ts";
import { RedisError } from "./redis-error.ts";

/** Time is up. */
export class NoAnswer extends RedisError {}

/**
 * Settles as `work` does, unless `timeoutMs` pass or `signal` aborts first. What `work` does afterwards is ignored.
 * @throws RedisError when time is up, GatewayError CANCELED
 */
export function withDeadline<T>(work: Promise<T>, timeoutMs: number, clock: Clock, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(canceled());
    // A reply that has come in while the process was busy is read in this turn of the event loop, after the timers.
    const cancelTimer = clock.after(timeoutMs, () => {
      setImmediate(() => reject(new NoAnswer(`no answer within ${Math.round(timeoutMs)} ms`)));
    });
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    work.then(resolve, reject).finally(() => {
      cancelTimer();
      signal?.removeEventListener("abort", abort);
    });
  });
}

/** Resolves after `delayMs`. @throws GatewayError CANCELED */
export function pause(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(canceled());
      return;
    }
    const abort = () => {
      cancelTimer();
      reject(canceled());
    };
    const cancelTimer = clock.after(delayMs, () => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
    signal.addEventListener("abort", abort, { once: true });
  });
}
