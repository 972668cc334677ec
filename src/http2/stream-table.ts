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

/** The open streams of one connection. */
export class StreamTable {
  readonly #streams = new Map<number, ServerStream>();
  readonly #limits: EngineLimits;
  readonly #total: StreamTotal;

  constructor(limits: EngineLimits, total: StreamTotal) {
    this.#limits = limits;
    this.#total = total;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Whether one more may be added; counts those that may not. */
  hasRoom(): boolean {
    const { size } = this.#streams;
    const { maxConcurrentStreams, maxStreams } = this.#limits;
    // What others hold is not held against a client that has but a few.
    if (size < maxConcurrentStreams && (this.#total.open < maxStreams || size < FAIR_SHARE)) return true;
    this.#total.refused += 1;
    return false;
  }

  get(id: number): ServerStream | undefined {
    return this.#streams.get(id);
  }

  values(): Iterable<ServerStream> {
    return this.#streams.values();
  }

  add(stream: ServerStream): void {
    this.#streams.set(stream.id, stream);
    this.#total.open += 1;
  }

  delete(stream: ServerStream): void {
    if (this.#streams.delete(stream.id)) this.#total.open -= 1;
  }
}
