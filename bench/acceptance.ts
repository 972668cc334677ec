import type { RunRecord } from "./kit/record.ts";
import { rounded } from "./kit/statistics.ts";

/** A ratio of the gateway to a peer, and what it must be. */
interface Requirement {
  readonly what: string;
  /** As `throughputRatios` names it; as `cpuRatios` does, with ` cpu` behind it; or `cache-size`. */
  readonly shape: string;
  readonly peer: string;
  readonly bound: number;
  /** Of latencies less is better. */
  readonly isMost?: boolean;
}

export interface Outcome {
  readonly what: string;
  readonly required: string;
  /** `undefined` when the run has not measured it. */
  readonly seen: number | undefined;
  readonly holds: boolean | undefined;
}

const REQUIREMENTS: readonly Requirement[] = [
  { what: "8x16 against connect-node", shape: "8x16", peer: "connect_node", bound: 60 },
  { what: "8x16 against grpc-js", shape: "8x16", peer: "grpc_js", bound: 14 },
  { what: "8x16 against bare node:http2", shape: "8x16", peer: "node_http2", bound: 6 },
  { what: "8x16 against grpc-go", shape: "8x16", peer: "grpc_go", bound: 4 },
  { what: "8x16 against @clerk/backend per request", shape: "8x16", peer: "clerk_backend", bound: 100 },
  { what: "64x1 against connect-node", shape: "64x1", peer: "connect_node", bound: 20 },
  { what: "64x1 against grpc-js", shape: "64x1", peer: "grpc_js", bound: 7 },
  { what: "64x1 against grpc-go", shape: "64x1", peer: "grpc_go", bound: 2 },
  { what: "1x1 p50 against grpc-go", shape: "1x1 p50", peer: "grpc_go", bound: 1, isMost: true },
  { what: "1x1 p99 against grpc-go", shape: "1x1 p99", peer: "grpc_go", bound: 1, isMost: true },
  { what: "TLS 8x16 against grpc-go", shape: "tls", peer: "grpc_go", bound: 3 },
  {
    what: "CPU of a JWT against an opaque token's, from memory",
    shape: "cases cpu",
    peer: "jwt",
    bound: 1.5,
    isMost: true,
  },
  { what: "10^6 cached tokens against 10^3", shape: "cache-size", peer: "ratio_1e6_to_1e3", bound: 0.7 },
];

/** What the project asks of itself, next to what a run has seen. */
export function outcomesOf(record: Pick<RunRecord, "throughputRatios" | "cpuRatios" | "figures">): Outcome[] {
  const ratios = record.throughputRatios();
  for (const [shape, cpu] of Object.entries(record.cpuRatios())) ratios[`${shape} cpu`] = cpu;
  return REQUIREMENTS.map(({ what, shape, peer, bound, isMost = false }) => {
    const ratio = shape === "cache-size" ? record.figures.get(shape)?.[peer] : ratios[shape]?.[peer];
    const seen = typeof ratio === "number" ? rounded(ratio, 3) : undefined;
    const holds = seen === undefined ? undefined : isMost ? seen <= bound : seen >= bound;
    return { what, required: `${isMost ? "at most" : "at least"} ${bound}`, seen, holds };
  });
}

/** As rows of a table: what, required, seen. */
export function outcomeRows(outcomes: readonly Outcome[]): string[][] {
  return outcomes.map(({ what, required, seen, holds }) => [
    what,
    required,
    seen === undefined ? "not measured" : `${seen}${holds === true ? "" : " !"}`,
  ]);
}
