/** What became of the requests for one operation. */
export type RequestCount = {
  readonly total: number;
  readonly in_flight: number;
  /** The most that were ever in flight together. */
  readonly max_in_flight: number;
  /** Answers by status, and `none` for requests that ended without one. */
  readonly statuses: Readonly<Record<string, number>>;
};

interface Counter {
  total: number;
  in_flight: number;
  max_in_flight: number;
  statuses: Record<string, number>;
}

/** A request's place in a trace (W3C Trace Context), as it came. */
export interface SeenTrace {
  readonly operation: string;
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

/** The last so many are kept. */
const MAX_TRACES = 1_000;

/** Counts API requests by operation. Requests to the control API are not counted. */
export class RequestCounters {
  #counters = new Map<string, Counter>();
  #traces: SeenTrace[] = [];

  /** The traces that requests said they belong to, in their order. */
  get traces(): readonly SeenTrace[] {
    return this.#traces;
  }

  /** Notes which trace a request is part of; nothing when it names none. */
  noteTrace(operation: string, traceparent: string | undefined, tracestate: string | undefined): void {
    if (traceparent === undefined) return;
    if (this.#traces.length >= MAX_TRACES) this.#traces.shift();
    this.#traces.push({ operation, traceparent, tracestate });
  }

  /** Counts a request that has arrived. Call what it returns once, with the status answered, when it has ended. */
  begin(operation: string): (status: number | undefined) => void {
    const counter = this.#counterOf(operation);
    counter.total += 1;
    counter.in_flight += 1;
    counter.max_in_flight = Math.max(counter.max_in_flight, counter.in_flight);
    return (status) => {
      counter.in_flight -= 1;
      const label = status === undefined ? "none" : String(status);
      counter.statuses[label] = (counter.statuses[label] ?? 0) + 1;
    };
  }

  /** Of operations that were requested at all. */
  counts(): Record<string, RequestCount> {
    const copies = [...this.#counters].map(([name, counter]) => [name, structuredClone(counter)] as const);
    return Object.fromEntries(copies);
  }

  /** Requests for `operation`, such as `m2m_tokens.verify`, since the start or the last reset. */
  total(operation: string): number {
    return this.#counters.get(operation)?.total ?? 0;
  }

  reset(): void {
    this.#counters = new Map();
    this.#traces = [];
  }

  #counterOf(operation: string): Counter {
    const present = this.#counters.get(operation);
    if (present !== undefined) return present;
    const counter = { total: 0, in_flight: 0, max_in_flight: 0, statuses: {} };
    this.#counters.set(operation, counter);
    return counter;
  }
}
