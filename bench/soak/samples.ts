import { setTimeout as pause } from "node:timers/promises";
import type { BenchGateway } from "../kit/bench-gateway.ts";
import { rounded } from "../kit/statistics.ts";

/** What a gateway holds at one moment. */
export interface Sample {
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly connections: number;
  readonly streams: number;
  readonly watchers: number;
  readonly validAnswers: number;
}

const GAUGES = {
  heapBytes: "nodejs_heap_size_used_bytes",
  externalBytes: "nodejs_external_memory_bytes",
  connections: "m2m_gateway_connections",
  streams: "m2m_gateway_streams",
  watchers: "m2m_gateway_watchers",
} as const;

export async function takeSample(gateway: BenchGateway, startedAtMs: number): Promise<Sample> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const read = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  const valid = [...text.matchAll(/^m2m_gateway_verify_total\{verdict="valid",source="\w+"\} (\d+)$/gm)];
  return {
    atSeconds: rounded((performance.now() - startedAtMs) / 1000),
    rssBytes: gateway.child.usage().rssBytes,
    heapBytes: read(GAUGES.heapBytes),
    externalBytes: read(GAUGES.externalBytes),
    connections: read(GAUGES.connections),
    streams: read(GAUGES.streams),
    watchers: read(GAUGES.watchers),
    validAnswers: valid.reduce((sum, [, value]) => sum + Number(value), 0),
  };
}

/** Samples until the signal. @param onSample told of each */
export async function sampleUntil(
  gateway: BenchGateway,
  intervalMs: number,
  signal: AbortSignal,
  onSample: (sample: Sample) => void,
): Promise<Sample[]> {
  const startedAtMs = performance.now();
  const samples: Sample[] = [];
  while (!signal.aborted) {
    await pause(intervalMs, undefined, { signal }).catch(() => undefined);
    const sample = await takeSample(gateway, startedAtMs);
    samples.push(sample);
    onSample(sample);
  }
  return samples;
}

export interface Trend {
  /** By least squares. */
  readonly bytesPerMinute: number;
  readonly medianBytes: number;
  /** What the slope comes to over the time it was taken from, as a share of the median. */
  readonly growth: number;
  readonly isFlat: boolean;
}

/** Collections of garbage and the allocator's keeping of pages move the memory in use by about this much. */
const FLAT_GROWTH = 0.05;

/** What became of the memory once everything had been used: in the second half of the run. */
export function trendOf(samples: readonly Sample[], bytesOf: (sample: Sample) => number): Trend {
  const late = samples.slice(Math.floor(samples.length / 2));
  const points = late.map((sample) => ({ x: sample.atSeconds / 60, y: bytesOf(sample) }));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(({ x }) => x)), mean(points.map(({ y }) => y))];
  const covariance = mean(points.map(({ x, y }) => (x - meanX) * (y - meanY)));
  const variance = mean(points.map(({ x }) => (x - meanX) ** 2));
  const bytesPerMinute = variance === 0 ? 0 : covariance / variance;
  const minutes = (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
  const medianBytes = points.map(({ y }) => y).sort((a, b) => a - b)[Math.floor(points.length / 2)] ?? Number.NaN;
  const growth = (bytesPerMinute * minutes) / medianBytes;
  return {
    bytesPerMinute: rounded(bytesPerMinute),
    medianBytes,
    growth: rounded(growth),
    isFlat: growth <= FLAT_GROWTH,
  };
}
