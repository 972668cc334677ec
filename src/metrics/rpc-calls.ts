import { Counter, type Registry } from "prom-client";
import type { CallsSnapshot } from "../status/snapshots.ts";
import { type HistogramSeries, ReadHistogram } from "./read-histogram.ts";

export interface RpcRecord {
  /** As in the proto, for example `m2mgateway.v1.TokenService`. */
  readonly service: string;
  /** As in the proto, for example `VerifyToken`. */
  readonly method: string;
  /** The status, for example `ok` or `unavailable`. */
  readonly code: string;
}

// From a tenth of a millisecond, an answer from memory, to ten seconds, longer than an upstream call may take.
const DURATION_BUCKETS_S: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

// Far more than there are: names made up by callers must not become series without end.
const MAX_METHODS = 64;

/** The calls of one method: plain numbers, because they are written on every call and read once in many seconds. */
interface MethodCalls {
  readonly service: string;
  readonly method: string;
  readonly codes: Map<string, number>;
  /** How many took at most a bucket's bound and more than the one before; last, those longer than all. */
  readonly durations: Float64Array;
  sumS: number;
}

/** Counts and times RPC calls; the metrics take what they need when somebody asks. */
export class RpcCalls {
  readonly #methods = new Map<string, Map<string, MethodCalls>>();
  readonly #all: MethodCalls[] = [];
  #other: MethodCalls | undefined;

  /** @param count how many calls ended alike, each after `durationMs` */
  record({ service, method, code }: RpcRecord, durationMs: number, count: number): void {
    const calls = this.#methods.get(service)?.get(method) ?? this.#begin(service, method);
    calls.codes.set(code, (calls.codes.get(code) ?? 0) + count);
    const durationS = durationMs / 1000;
    let bucket = 0;
    while (durationS > (DURATION_BUCKETS_S[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    calls.durations[bucket] = (calls.durations[bucket] ?? 0) + count;
    calls.sumS += durationS * count;
  }

  /** What has been counted so far; it goes on being counted in. */
  get counts(): CallsSnapshot {
    return { durationBoundsS: DURATION_BUCKETS_S, methods: this.#all };
  }

  register(registry: Registry, prefix: string): void {
    const all: readonly MethodCalls[] = this.#all;
    new Counter({
      name: `${prefix}rpc_total`,
      help: "RPC calls ended, by service, method and status code.",
      labelNames: ["service", "method", "code"],
      registers: [registry],
      collect() {
        this.reset();
        for (const { service, method, codes } of all) {
          for (const [code, count] of codes) this.inc({ service, method, code }, count);
        }
      },
    });
    registry.registerMetric(
      new ReadHistogram({
        name: `${prefix}rpc_duration_seconds`,
        help: "How long RPC calls took, by method; streams until their end.",
        labelNames: ["method"],
        read: () => durationsByMethod(all),
      }),
    );
  }

  #begin(service: string, method: string): MethodCalls {
    if (this.#all.length >= MAX_METHODS) {
      this.#other ??= this.#add("other", "other");
      return this.#other;
    }
    const calls = this.#add(service, method);
    const siblings = this.#methods.get(service) ?? new Map<string, MethodCalls>();
    this.#methods.set(service, siblings.set(method, calls));
    return calls;
  }

  #add(service: string, method: string): MethodCalls {
    const durations = new Float64Array(DURATION_BUCKETS_S.length + 1);
    const calls = { service, method, codes: new Map<string, number>(), durations, sumS: 0 };
    this.#all.push(calls);
    return calls;
  }
}

/** Services that have a method of one name share its series. */
function durationsByMethod(all: readonly MethodCalls[]): HistogramSeries[] {
  return [...byMethod(all)].map(([method, calls]) => {
    const counts = new Float64Array(DURATION_BUCKETS_S.length + 1);
    for (const { durations } of calls)
      for (const [at, count] of durations.entries()) counts[at] = (counts[at] ?? 0) + count;
    return {
      labels: { method },
      bounds: DURATION_BUCKETS_S,
      counts,
      sum: calls.reduce((sum, one) => sum + one.sumS, 0),
    };
  });
}

function byMethod(all: readonly MethodCalls[]): Map<string, MethodCalls[]> {
  const methods = new Map<string, MethodCalls[]>();
  for (const calls of all) methods.set(calls.method, [...(methods.get(calls.method) ?? []), calls]);
  return methods;
}
