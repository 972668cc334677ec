import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { PULLED, PULLED_HISTOGRAMS, type Read, type Sample, type TimedSeries } from "./metrics/pulled.ts";
import { type HistogramSeries, ReadHistogram } from "./metrics/read-histogram.ts";
import { RpcCalls, type RpcRecord } from "./metrics/rpc-calls.ts";
import type { CallsSnapshot } from "./status/snapshots.ts";
import type { StatusSnapshot } from "./status.ts";

export interface Metrics {
  /** The media type of what `render` gives. */
  readonly contentType: string;
  /** All metrics in the Prometheus text format, values owned elsewhere as of now. Rejects when the snapshot cannot be taken. */
  render(): Promise<string>;
  /** @param count how many calls ended alike, each after `durationMs`; 1 when not given */
  recordRpc(rpc: RpcRecord, durationMs: number, count?: number): void;
  /** What `recordRpc` was told so far. */
  callCounts(): CallsSnapshot;
}

const PREFIX = "m2m_gateway_";

/** Metrics of one gateway in a registry of their own. `snapshot` is called once for each `render`. */
export function createMetrics(version: string, snapshot: () => StatusSnapshot): Metrics {
  const registry = new Registry();
  let status: StatusSnapshot | undefined;
  addPulled(registry, (read) => (status === undefined ? [] : read(status)));
  addHistograms(registry, () => status);
  addBuildInfo(registry, version);
  collectDefaultMetrics({ register: registry });
  const calls = new RpcCalls();
  calls.register(registry, PREFIX);
  return {
    contentType: registry.contentType,
    recordRpc: (rpc, durationMs, count = 1) => calls.record(rpc, durationMs, count),
    callCounts: () => calls.counts,
    render: async () => {
      status = snapshot();
      return await registry.metrics();
    },
  };
}

function addPulled(registry: Registry, samples: (read: Read) => readonly Sample[]): void {
  for (const { kind, name, help, labelNames, read } of PULLED) {
    const common = { name: PREFIX + name, help, labelNames, registers: [registry] };
    if (kind === "counter") {
      new Counter({
        ...common,
        collect() {
          this.reset();
          for (const { labels = {}, value } of samples(read)) this.inc({ ...labels }, value);
        },
      });
    } else {
      new Gauge({
        ...common,
        collect() {
          this.reset();
          for (const { labels = {}, value } of samples(read)) this.set({ ...labels }, value);
        },
      });
    }
  }
}

function addHistograms(registry: Registry, status: () => StatusSnapshot | undefined): void {
  for (const { name, help, labelNames, read } of PULLED_HISTOGRAMS) {
    const seriesNow = () => {
      const snapshot = status();
      return snapshot === undefined ? [] : read(snapshot).map(seriesOf);
    };
    registry.registerMetric(new ReadHistogram({ name: PREFIX + name, help, labelNames, read: seriesNow }));
  }
}

function seriesOf({ labels, durations: { boundsMs, counts, sumMs } }: TimedSeries): HistogramSeries {
  return { labels, bounds: boundsMs.map((ms) => ms / 1000), counts, sum: sumMs / 1000 };
}

function addBuildInfo(registry: Registry, version: string): void {
  const info = new Gauge({
    name: `${PREFIX}build_info`,
    help: "Always 1; the labels tell the version of the gateway and of Node.js.",
    labelNames: ["version", "node"],
    registers: [registry],
  });
  info.set({ version, node: process.version }, 1);
}
