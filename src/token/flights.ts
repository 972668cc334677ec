import { canceled } from "./errors.ts";

interface Flight<T> {
  readonly startedAtMs: number;
  readonly controller: AbortController;
  readonly result: Promise<T>;
  waiters: number;
}

/**
 * Single-flight: callers that ask the same question while it is under way share its answer. A flight belongs to none of
 * them: each leaves alone when canceled, and the question itself is canceled when the last has left.
 */
export class Flights<K, T> {
  readonly #flights = new Map<K, Flight<T>>();
  /** Callers that joined a flight which another had started. */
  joined = 0;

  /**
   * The answer to `question`, or to the same question asked earlier but not before `notBeforeMs` (monotonic). A caller
   * that joins learns nothing newer than that start, so it must accept observations that old.
   */
  join(
    key: K,
    nowMs: number,
    notBeforeMs: number,
    signal: AbortSignal,
    question: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const current = this.#flights.get(key);
    if (current !== undefined && current.startedAtMs >= notBeforeMs) {
      this.joined += 1;
      return this.#wait(key, current, signal);
    }
    return this.#wait(key, this.#start(key, nowMs, question), signal);
  }

  get size(): number {
    return this.#flights.size;
  }

  #start(key: K, nowMs: number, question: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const flight: Flight<T> = {
      startedAtMs: nowMs,
      controller,
      waiters: 0,
      result: question(controller.signal).finally(() => this.#remove(key, flight)),
    };
    // Every waiter may have left before it fails; the failure is then nobody's.
    flight.result.catch(() => undefined);
    this.#flights.set(key, flight);
    return flight;
  }

  #wait(key: K, flight: Flight<T>, signal: AbortSignal): Promise<T> {
    if (signal.aborted) {
      if (flight.waiters === 0) this.#abandon(key, flight);
      return Promise.reject(canceled());
    }
    flight.waiters += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        flight.waiters -= 1;
        if (flight.waiters === 0) this.#abandon(key, flight);
        reject(canceled());
      };
      signal.addEventListener("abort", leave, { once: true });
      flight.result.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }

  /** Off the map first: nobody may join a question that is being canceled. */
  #abandon(key: K, flight: Flight<T>): void {
    this.#remove(key, flight);
    flight.controller.abort();
  }

  /** By identity: a newer flight may have taken the key. */
  #remove(key: K, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
