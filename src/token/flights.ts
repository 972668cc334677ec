import { canceled } from "./errors.ts";

interface Flight<T> {
  /** When the question was asked; Infinity while it waits for its turn, and so later than whoever joins it. */
  startedAtMs: number;
  readonly controller: AbortController;
  readonly result: Promise<T>;
  waiters: number;
}

/** Questions about one key that may be under way at once. Who needs a newer answer than those will give waits for the next. */
const MAX_AT_ONCE = 2;

/**
 * Single-flight: callers that ask the same question while it is under way share its answer. A flight belongs to none of
 * them: each leaves alone when canceled, and the question itself is canceled when the last has left.
 *
 * Callers who accept no answer as old as the questions under way share one that is asked as soon as the newest of those
 * has ended: however many they are, and whatever they accept, at most two questions about a key are under way.
 */
export class Flights<K, T> {
  readonly #nowMs: () => number;
  /** The newest question under way about a key. */
  readonly #flights = new Map<K, Flight<T>>();
  readonly #next = new Map<K, Flight<T>>();
  readonly #underWay = new Map<K, number>();
  /** Callers that joined a flight which another had started. */
  joined = 0;

  /** @param nowMs the monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * The answer to `question`, or to the same question asked earlier but not before `notBeforeMs` (monotonic). A caller
   * that joins learns nothing newer than that start, so it must accept observations that old.
   */
  join(key: K, notBeforeMs: number, signal: AbortSignal, question: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const current = this.#flights.get(key);
    const suitable = current !== undefined && current.startedAtMs >= notBeforeMs ? current : this.#next.get(key);
    if (suitable !== undefined) {
      this.joined += 1;
      return this.#wait(key, suitable, signal);
    }
    const mustWait = current !== undefined && (this.#underWay.get(key) ?? 0) >= MAX_AT_ONCE;
    return this.#wait(key, mustWait ? this.#startAfter(key, current, question) : this.#start(key, question), signal);
  }

  /** Keys about which something is under way. */
  get size(): number {
    return this.#underWay.size;
  }

  #start(key: K, question: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const flight: Flight<T> = {
      startedAtMs: this.#nowMs(),
      controller,
      waiters: 0,
      result: this.#ask(key, controller.signal, question).finally(() => this.#remove(key, flight)),
    };
    this.#flights.set(key, flight);
    // Every waiter may have left before it fails; the failure is then nobody's.
    flight.result.catch(() => undefined);
    return flight;
  }

  #startAfter(key: K, current: Flight<T>, question: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const begin = () => {
      if (this.#next.get(key) === flight) this.#next.delete(key);
      if (controller.signal.aborted) throw canceled();
      flight.startedAtMs = this.#nowMs();
      this.#flights.set(key, flight);
      return this.#ask(key, controller.signal, question);
    };
    const flight: Flight<T> = {
      startedAtMs: Number.POSITIVE_INFINITY,
      controller,
      waiters: 0,
      result: current.result.then(begin, begin).finally(() => this.#remove(key, flight)),
    };
    this.#next.set(key, flight);
    flight.result.catch(() => undefined);
    return flight;
  }

  async #ask(key: K, signal: AbortSignal, question: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    try {
      return await question(signal);
    } finally {
      const left = (this.#underWay.get(key) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(key);
      else this.#underWay.set(key, left);
    }
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

  /** Off the maps first: nobody may join a question that is being canceled. */
  #abandon(key: K, flight: Flight<T>): void {
    this.#remove(key, flight);
    if (this.#next.get(key) === flight) this.#next.delete(key);
    flight.controller.abort();
  }

  /** By identity: a newer flight may have taken the key. */
  #remove(key: K, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
