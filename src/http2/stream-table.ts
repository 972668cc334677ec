import type { EngineLimits } from "./engine-limits.ts";
import type { ServerStream } from "./server-stream.ts";

/** Streams of all connections. */
export interface StreamTotal {
  open: number;
  /** Refused because of one of the bounds. */
  refused: number;
}

/** What each connection may have open however many others have. */
const FAIR_SHARE = 16;

/**
 * The open streams of one connection. The newest is kept apart until another follows: a call that is answered at once comes
 * and goes without touching the map, which would be rebuilt after every few of them.
 */
export class StreamTable {
  readonly #older = new Map<number, ServerStream>();
  #newest: ServerStream | undefined;
  readonly #limits: EngineLimits;
  readonly #total: StreamTotal;

  constructor(limits: EngineLimits, total: StreamTotal) {
    this.#limits = limits;
    this.#total = total;
  }

  get size(): number {
    return this.#older.size + (this.#newest === undefined ? 0 : 1);
  }

  /** Whether one more may be added; counts those that may not. */
  hasRoom(): boolean {
    const { size } = this;
    const { maxConcurrentStreams, maxStreams } = this.#limits;
    // What others hold is not held against a client that has but a few.
    if (size < maxConcurrentStreams && (this.#total.open < maxStreams || size < FAIR_SHARE)) return true;
    this.#total.refused += 1;
    return false;
  }

  get(id: number): ServerStream | undefined {
    return this.#newest?.id === id ? this.#newest : this.#older.get(id);
  }

  /** Streams may be deleted meanwhile. */
  *values(): Generator<ServerStream, void, undefined> {
    yield* this.#older.values();
    if (this.#newest !== undefined) yield this.#newest;
  }

  /** Its identifier must be one that was not there before. */
  add(stream: ServerStream): void {
    if (this.#newest !== undefined) this.#older.set(this.#newest.id, this.#newest);
    this.#newest = stream;
    this.#total.open += 1;
  }

  delete(stream: ServerStream): void {
    if (this.#newest === stream) this.#newest = undefined;
    else if (!this.#older.delete(stream.id)) return;
    this.#total.open -= 1;
  }
}
