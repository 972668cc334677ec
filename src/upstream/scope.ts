import { setMaxListeners } from "node:events";
import { GatewayError } from "../token/errors.ts";
import type { Clock } from "../token/ports.ts";

/** Work with an end: its signal aborts when time is up or when the work it belongs to ends first. */
export interface Scope {
  /** Aborts with a GatewayError as its reason. */
  readonly signal: AbortSignal;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  abort(reason: GatewayError): void;
  /** What becomes of the work that it belongs to does not matter any more: it ends by itself, or when time is up. */
  detach(): void;
  /** Frees the timer and the listener on the parent. Must be called once the work has ended, however it ended. */
  close(): void;
}

/**
 * Each scope has a controller of its own and listens to its parent only until it is closed, so that a signal which
 * lives as long as the process gathers no listeners.
 */
export function openScope(
  clock: Clock,
  timeoutMs: number,
  parent: AbortSignal,
  whenParentAborts: () => GatewayError,
): Scope {
  const controller = new AbortController();
  const follow = (): void => controller.abort(whenParentAborts());
  if (parent.aborted) {
    follow();
  } else {
    // Many calls under way on one signal are no leak to be warned of.
    setMaxListeners(0, parent);
    parent.addEventListener("abort", follow, { once: true });
  }
  const detach = (): void => parent.removeEventListener("abort", follow);
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const cancelTimer = clock.after(timeoutMs, () => controller.abort(timedOut()));
  return {
    signal: controller.signal,
    deadlineMs,
    abort: (reason) => controller.abort(reason),
    detach,
    close: () => {
      cancelTimer();
      detach();
    },
  };
}

export function timedOut(): GatewayError {
  return new GatewayError("UPSTREAM_TIMEOUT", "the upstream did not answer in time");
}

/** Why a scope's signal aborted. */
export function reasonOf(signal: AbortSignal): GatewayError {
  const reason: unknown = signal.reason;
  return reason instanceof GatewayError ? reason : timedOut();
}

/** Settles as `work` does, or rejects with the reason of `signal` the moment it aborts, whatever `work` does later. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    if (signal.aborted) {
      abort();
    } else {
      signal.addEventListener("abort", abort, { once: true });
    }
    const settled = (): void => signal.removeEventListener("abort", abort);
    work.then(
      (value) => {
        settled();
        resolve(value);
      },
      (error: unknown) => {
        settled();
        reject(signal.aborted ? reasonOf(signal) : error);
      },
    );
  });
}

export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    if (delayMs <= 0) {
      resolve();
      return;
    }
    const abort = (): void => {
      cancelTimer();
      reject(reasonOf(signal));
    };
    const cancelTimer = clock.after(delayMs, () => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
    signal.addEventListener("abort", abort, { once: true });
  });
}
