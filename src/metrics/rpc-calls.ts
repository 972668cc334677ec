import { Counter, Histogram, type Registry } from "prom-client";
import type { CallsSnapshot } from "../status.ts";

export interface RpcRecord {
  /** As in the proto, for example `m2mgateway.v1.TokenService`. */
  readonly service: string;
  /** As in the proto, for example `VerifyToken`. */
  readonly method: string;
  /** The status, for example `ok` or `unavailable`. */
  readonly code: string;
  readonly durationMs: number;
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
  record({ service, method, code, durationMs }: RpcRecord, count: number): void {
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
    registry.registerMetric(new CallDurations(`${prefix}rpc_duration_seconds`, all));
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

/** The histogram that the calls amount to: services that have a method of one name share its series. */
class CallDurations extends Histogram<"method"> {
  readonly #calls: readonly MethodCalls[];
  readonly #name: string;
  /** Never filled: it lends its name, help and type. */
  readonly #empty: Histogram<"method">;

  constructor(name: string, calls: readonly MethodCalls[]) {
    const help = "How long RPC calls took, by method; streams until their end.";
    const configuration = { name, help, labelNames: ["method"] as const, registers: [] };
    super(configuration);
    this.#empty = new Histogram(configuration);
    this.#name = name;
    this.#calls = calls;
  }

  override async get() {
    const described = await this.#empty.get();
    return {
      ...described,
      values: [...byMethod(this.#calls)].flatMap(([method, calls]) => this.#series(method, calls)),
    };
  }

  /** What the text format is made from; the base class would give its own series here. */
  getForPromString() {
    return this.get();
  }

  #series(method: string, calls: readonly MethodCalls[]) {
    let count = 0;
    const cumulative = [...DURATION_BUCKETS_S, "+Inf"].map((le, bucket) => {
      for (const { durations } of calls) count += durations[bucket] ?? 0;
      return { labels: { le, method }, value: count, metricName: `${this.#name}_bucket` };
    });
    const sumS = calls.reduce((sum, one) => sum + one.sumS, 0);
    return [
      ...cumulative,
      { labels: { method }, value: sumS, metricName: `${this.#name}_sum` },
      { labels: { method }, value: count, metricName: `${this.#name}_count` },
    ];
  }
}

function byMethod(all: readonly MethodCalls[]): Map<string, MethodCalls[]> {
  const methods = new Map<string, MethodCalls[]>();
  for (const calls of all) methods.set(calls.method, [...(methods.get(calls.method) ?? []), calls]);
  return methods;
}
