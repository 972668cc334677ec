import type { Status } from "./status.ts";

/** Shown by the charts. */
export const WINDOW_MS = 5 * 60_000;
/** Calls come in bursts, and so do the page's own: over this much, rates are calm enough to read. */
const RATE_WINDOW_MS = 3_000;
/** Quantiles of a second's calls jump about; those of this much are steady enough to read. */
const LATENCY_WINDOW_MS = 10_000;
/** Between samples further apart than this nothing is known. */
const GAP_MS = 5_000;

const SERVICE = "m2mgateway.v1.TokenService";
const TIMED_METHOD = "VerifyToken";
const SOURCES = ["MEMORY", "REDIS", "LOCAL", "FACT", "UPSTREAM"];

export interface Sample {
  readonly atMs: number;
  readonly status: Status;
}

/** What happened between two samples, per second. `undefined` where nothing is known. */
export interface Point {
  readonly atMs: number;
  /** Verifications by source, in the order of `SOURCES`. */
  readonly bySource: readonly number[] | undefined;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

/** What happened in a while: of counters, by how much they grew. */
export interface Span {
  readonly seconds: number;
  readonly calls: number;
  readonly failures: number;
  readonly hits: number;
  readonly misses: number;
  /** In the order of `SOURCES`. */
  readonly bySource: readonly number[];
  readonly byVerdict: ReadonlyMap<string, number>;
}

/** The samples of the window and what follows from them. */
export class History {
  #samples: Sample[] = [];
  #points: Point[] = [];

  get sources(): readonly string[] {
    return SOURCES;
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  get latest(): Sample | undefined {
    return this.#samples.at(-1);
  }

  add(sample: Sample): void {
    const previous = this.latest;
    // Counters of another process: what was is no base for what comes.
    if (previous !== undefined && previous.status.startedAtMs !== sample.status.startedAtMs) this.#samples = [];
    this.#samples.push(sample);
    const point = this.#pointOf(sample, this.#samples.at(-2));
    this.#points.push(point);
    const oldestMs = sample.atMs - WINDOW_MS - GAP_MS;
    this.#samples = this.#samples.filter(({ atMs }) => atMs >= oldestMs);
    this.#points = this.#points.filter(({ atMs }) => atMs >= oldestMs);
  }

  /** The last `windowMs`, or as much of it as there is; `undefined` before the second sample. */
  span(windowMs: number): Span | undefined {
    const latest = this.latest;
    const first = latest === undefined ? undefined : this.#firstWithin(latest, windowMs);
    return latest === undefined || first === undefined ? undefined : spanBetween(first, latest);
  }

  #pointOf(sample: Sample, previous: Sample | undefined): Point {
    const { atMs } = sample;
    if (previous === undefined || atMs - previous.atMs > GAP_MS) {
      return { atMs, bySource: undefined, p50Ms: undefined, p99Ms: undefined };
    }
    const { bySource, seconds } = spanBetween(this.#firstWithin(sample, RATE_WINDOW_MS) ?? previous, sample);
    const first = this.#firstWithin(sample, LATENCY_WINDOW_MS) ?? previous;
    const counts = grown(durationsOf(first.status), durationsOf(sample.status));
    const quantile = (share: number) => quantileOf(sample.status.durationBoundsMs, counts, share);
    return {
      atMs,
      bySource: bySource.map((count) => count / seconds),
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
    };
  }

  #firstWithin({ atMs }: Sample, windowMs: number): Sample | undefined {
    const first = this.#samples.find((sample) => sample.atMs >= atMs - windowMs - 500);
    return first === undefined || first.atMs >= atMs ? undefined : first;
  }
}

/**
 * The value that a share of the counted ones does not exceed: within the bucket where it lies, in proportion. What is in the
 * last bucket, which has no bound, is at its beginning. `undefined` when nothing was counted.
 */
export function quantileOf(boundsMs: readonly number[], counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  let below = 0;
  for (const [at, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      const lowMs = boundsMs[at - 1] ?? 0;
      const highMs = boundsMs[at] ?? lowMs;
      return lowMs + ((highMs - lowMs) * (share * total - below)) / count;
    }
    below += count;
  }
  return boundsMs.at(-1);
}

function spanBetween(first: Sample, last: Sample): Span {
  const [from, to] = [first.status, last.status];
  const calls = callCounts(from);
  const callsNow = callCounts(to);
  const verdicts = countBy(from, "verdict");
  const sources = countBy(from, "source");
  const sourcesNow = countBy(to, "source");
  return {
    seconds: Math.max(0.001, (last.atMs - first.atMs) / 1000),
    calls: grownBy(calls.all, callsNow.all),
    failures: grownBy(calls.failed, callsNow.failed),
    hits: grownBy(from.cache.hits, to.cache.hits),
    misses: grownBy(from.cache.misses, to.cache.misses),
    bySource: SOURCES.map((source) => grownBy(sources.get(source) ?? 0, sourcesNow.get(source) ?? 0)),
    byVerdict: new Map(
      [...countBy(to, "verdict")].map(([verdict, count]) => [verdict, grownBy(verdicts.get(verdict) ?? 0, count)]),
    ),
  };
}

/** Of tokens: the page's own calls, health checks and the like would drown what callers do. */
function callCounts({ calls }: Status): { readonly all: number; readonly failed: number } {
  let all = 0;
  let failed = 0;
  for (const { service, codes } of calls) {
    if (service !== SERVICE) continue;
    for (const [code, count] of codes) {
      all += count;
      if (code !== "OK" && code !== "CANCELLED") failed += count;
    }
  }
  return { all, failed };
}

function durationsOf({ calls }: Status): readonly number[] {
  return calls.find(({ service, method }) => service === SERVICE && method === TIMED_METHOD)?.durations ?? [];
}

function countBy({ verifications }: Status, field: "source" | "verdict"): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of verifications) counts.set(one[field], (counts.get(one[field]) ?? 0) + one.count);
  return counts;
}

function grown(from: readonly number[], to: readonly number[]): number[] {
  return to.map((count, at) => grownBy(from[at] ?? 0, count));
}

/** Counters only grow, but for a worker that was started anew. */
function grownBy(from: number, to: number): number {
  return Math.max(0, to - from);
}
