import { GatewayError } from "../token/errors.ts";
import type { Clock, Lane } from "../token/ports.ts";
import { reasonOf, timedOut } from "./scope.ts";

export interface LimiterOptions {
  /** Requests under way at once. A quarter is kept for the known lane. */
  readonly maxConcurrency: number;
  /** Requests waiting at once, both lanes together. A quarter is kept for the known lane. */
  readonly maxQueue: number;
  /** Over any t seconds at most this times (t + 1) requests start: the bucket holds one second's worth. */
  readonly maxRequestsPerSecond: number;
  readonly clock: Clock;
}

interface Entry {
  readonly deadlineMs: number;
  admit(): void;
  refuse(error: GatewayError): void;
}

const MAX_PAUSE_MS = 60_000;

/** Decides when a request may go out: caps on concurrency and rate, and a bounded queue of two lanes in front. */
export class Limiter {
  readonly #clock: Clock;
  readonly #maxConcurrency: number;
  readonly #maxUnknownRunning: number;
  readonly #maxQueue: number;
  readonly #maxUnknownQueued: number;
  readonly #rate: TokenBucket;
  readonly #queues: Readonly<Record<Lane, Set<Entry>>> = { known: new Set(), unknown: new Set() };
  readonly #running: Record<Lane, number> = { known: 0, unknown: 0 };
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #cancelWake: (() => void) | undefined;
  #closed = false;

  constructor(options: LimiterOptions) {
    this.#clock = options.clock;
    this.#maxConcurrency = options.maxConcurrency;
    this.#maxUnknownRunning = options.maxConcurrency - quarter(options.maxConcurrency);
    this.#maxQueue = options.maxQueue;
    this.#maxUnknownQueued = options.maxQueue - quarter(options.maxQueue);
    this.#rate = new TokenBucket(options.maxRequestsPerSecond);
  }

  get inFlight(): number {
    return this.#running.known + this.#running.unknown;
  }

  get queued(): number {
    return this.#queues.known.size + this.#queues.unknown.size;
  }

  /**
   * Waits for the turn of one request. Returns how to give the place back, which must happen once it has ended.
   *
   * @param deadlineMs on the monotonic clock; an entry still waiting then is refused with UPSTREAM_TIMEOUT
   * @param signal of a scope: its reason is what the entry is refused with
   * @throws GatewayError OVERLOADED when the queue is full, UPSTREAM_RATE_LIMITED when the deadline comes before the
   * end of a pause, DRAINING once closed
   */
  async acquire(lane: Lane, deadlineMs: number, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) {
      throw reasonOf(signal);
    }
    this.#pump();
    const refusal = this.#refusal(lane, deadlineMs);
    if (refusal !== undefined) {
      throw refusal;
    }
    return new Promise((resolve, reject) => {
      const queue = this.#queues[lane];
      const abort = (): void => {
        entry.refuse(reasonOf(signal));
        this.#pump();
      };
      const leave = (): void => {
        queue.delete(entry);
        signal.removeEventListener("abort", abort);
      };
      const entry: Entry = {
        deadlineMs,
        admit: () => {
          leave();
          resolve(this.#start(lane));
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      signal.addEventListener("abort", abort, { once: true });
      queue.add(entry);
      this.#pump();
    });
  }

  /** Starts nothing for that long, 60 seconds at most, as the upstream asked. A shorter pause never ends a longer one. */
  pause(durationMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(durationMs, MAX_PAUSE_MS));
    for (const entry of this.#entries()) {
      if (entry.deadlineMs <= this.#pausedUntilMs) {
        entry.refuse(this.#paused(nowMs));
      }
    }
    this.#pump();
  }

  close(): void {
    this.#closed = true;
    for (const entry of this.#entries()) {
      entry.refuse(draining());
    }
    this.#pump();
  }

  #refusal(lane: Lane, deadlineMs: number): GatewayError | undefined {
    if (this.#closed) {
      return draining();
    }
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#pausedUntilMs && deadlineMs <= this.#pausedUntilMs) {
      return this.#paused(nowMs);
    }
    if (this.#hasPlace(lane) && this.#waitMs(nowMs) <= 0) {
      return undefined;
    }
    const full =
      this.queued >= this.#maxQueue || (lane === "unknown" && this.#queues.unknown.size >= this.#maxUnknownQueued);
    return full ? this.#overloaded(nowMs) : undefined;
  }

  #entries(): Entry[] {
    return [...this.#queues.known, ...this.#queues.unknown];
  }

  /** Admits whoever may start now, and arranges to be called again if only time stands in the way of the next. */
  #pump(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    for (let entry = this.#next(); entry !== undefined; entry = this.#next()) {
      const nowMs = this.#clock.monotonicMs();
      const waitMs = this.#waitMs(nowMs);
      if (entry.deadlineMs <= nowMs) {
        entry.refuse(timedOut());
      } else if (waitMs > 0) {
        this.#cancelWake = this.#clock.after(Math.ceil(waitMs), () => this.#pump());
        return;
      } else {
        this.#rate.take(nowMs);
        entry.admit();
      }
    }
  }

  #next(): Entry | undefined {
    for (const lane of ["known", "unknown"] as const) {
      const [first] = this.#queues[lane];
      if (first !== undefined && this.#hasPlace(lane)) {
        return first;
      }
    }
    return undefined;
  }

  #hasPlace(lane: Lane): boolean {
    return (
      this.inFlight < this.#maxConcurrency && (lane === "known" || this.#running.unknown < this.#maxUnknownRunning)
    );
  }

  #waitMs(nowMs: number): number {
    return Math.max(this.#pausedUntilMs - nowMs, this.#rate.waitMs(nowMs));
  }

  #start(lane: Lane): () => void {
    this.#running[lane] += 1;
    let released = false;
    return () => {
      if (!released) {
        released = true;
        this.#running[lane] -= 1;
        this.#pump();
      }
    };
  }

  #paused(nowMs: number): GatewayError {
    return new GatewayError("UPSTREAM_RATE_LIMITED", "the upstream asked the gateway to send no requests for a while", {
      retryAfterMs: Math.ceil(this.#pausedUntilMs - nowMs),
    });
  }

  /** The queue cannot be empty again before its entries have started, which the rate cap stretches over this long. */
  #overloaded(nowMs: number): GatewayError {
    const retryAfterMs = Math.ceil(Math.max(this.#waitMs(nowMs), 0) + this.queued * this.#rate.intervalMs);
    return new GatewayError("OVERLOADED", "too many calls are waiting for the upstream", {
      retryAfterMs: Math.max(retryAfterMs, 1),
      limit: "upstream_queue",
    });
  }
}

/** A bucket of tokens, kept as the instant at which it would be full again (the generic cell rate algorithm). */
class TokenBucket {
  readonly intervalMs: number;
  readonly #toleranceMs: number;
  #fullAtMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.intervalMs = 1000 / perSecond;
    this.#toleranceMs = (Math.max(1, Math.floor(perSecond)) - 1) * this.intervalMs;
  }

  waitMs(nowMs: number): number {
    return this.#fullAtMs - this.#toleranceMs - nowMs;
  }

  take(nowMs: number): void {
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.intervalMs;
  }
}

/** A quarter, but something where there is enough to share: with one place the known lane simply goes first. */
function quarter(total: number): number {
  return total < 2 ? 0 : Math.max(1, Math.floor(total / 4));
}

function draining(): GatewayError {
  return new GatewayError("DRAINING", "the gateway is shutting down");
}
