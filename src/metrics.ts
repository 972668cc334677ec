import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { PULLED, type Read, type Sample } from "./metrics/pulled.ts";
import type { StatusSnapshot } from "./status.ts";

export interface RpcRecord {
  /** As in the proto, for example `m2mgateway.v1.TokenService`. */
  readonly service: string;
  /** As in the proto, for example `VerifyToken`. */
  readonly method: string;
  /** The status, for example `ok` or `unavailable`. */
  readonly code: string;
  readonly durationMs: number;
}

export interface Metrics {
  /** The media type of what `render` gives. */
  readonly contentType: string;
  /** All metrics in the Prometheus text format, values owned elsewhere as of now. Rejects when the snapshot cannot be taken. */
  render(): Promise<string>;
  recordRpc(rpc: RpcRecord): void;
}

const PREFIX = "m2m_gateway_";

// From a tenth of a millisecond, an answer from memory, to ten seconds, longer than an upstream call may take.
const DURATION_BUCKETS_S = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

// Far more than there are: names made up by callers must not become series without end.
const MAX_METHODS = 64;

/** Metrics of one gateway in a registry of their own. `snapshot` is called once for each `render`. */
export function createMetrics(version: string, snapshot: () => StatusSnapshot): Metrics {
  const registry = new Registry();
  let status: StatusSnapshot | undefined;
  addPulled(registry, (read) => (status === undefined ? [] : read(status)));
  addBuildInfo(registry, version);
  collectDefaultMetrics({ register: registry });
  const recordRpc = addRpcMetrics(registry);
  return {
    contentType: registry.contentType,
    recordRpc,
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

function addBuildInfo(registry: Registry, version: string): void {
  const info = new Gauge({
    name: `${PREFIX}build_info`,
    help: "Always 1; the labels tell the version of the gateway and of Node.js.",
    labelNames: ["version", "node"],
    registers: [registry],
  });
  info.set({ version, node: process.version }, 1);
}

function addRpcMetrics(registry: Registry): (rpc: RpcRecord) => void {
  const total = new Counter({
    name: `${PREFIX}rpc_total`,
    help: "RPC calls ended, by service, method and status code.",
    labelNames: ["service", "method", "code"],
    registers: [registry],
  });
  const duration = new Histogram({
    name: `${PREFIX}rpc_duration_seconds`,
    help: "How long RPC calls took, by method; streams until their end.",
    labelNames: ["method"],
    buckets: DURATION_BUCKETS_S,
    registers: [registry],
  });
  const known = new Set<string>();
  return ({ service, method, code, durationMs }) => {
    const name = `${service}/${method}`;
    if (known.size < MAX_METHODS) known.add(name);
    const labels = known.has(name) ? { service, method } : { service: "other", method: "other" };
    total.inc({ ...labels, code });
    duration.observe({ method: labels.method }, durationMs / 1000);
  };
}
