import { createMetrics } from "../metrics.ts";
import type { DurationsSnapshot, StatusSnapshot, VerificationCount } from "../status.ts";

const INTRODUCTION = `# Metrics

<!-- Generated from src/metrics/ by \`npm run docs\`. Do not edit. -->

\`/metrics\` at the admin port serves them in the Prometheus text format. Times are in seconds, money in US dollars at Clerk's
list price. Counters start at zero with the process. With several workers every sample carries the label \`worker\` besides,
\`primary\` for the process that answers the console and hands out connections.
No label ever holds a token, a key or anything else that callers make up.

[deploy/prometheus/alerts.yaml](../deploy/prometheus/alerts.yaml) has alerts on them,
[deploy/grafana/dashboard.json](../deploy/grafana/dashboard.json) a dashboard.
`;

const RUNTIME = `## Of the process

What \`prom-client\` tells of every Node.js process is there too: \`process_cpu_seconds_total\`,
\`process_resident_memory_bytes\`, \`nodejs_eventloop_lag_p99_seconds\` (how long the process is held up at a time),
\`nodejs_heap_size_used_bytes\`, \`nodejs_gc_duration_seconds\` and others.
`;

/** Label values that callers cause are in no closed set worth listing. */
const OPEN_LABELS: ReadonlySet<string> = new Set([
  "service",
  "method",
  "code",
  "outcome",
  "version",
  "node",
  "le",
  "caller",
]);

type Verdict = VerificationCount["verdict"];
type VerdictSource = VerificationCount["source"];

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: Map<string, Set<string>>;
}

/** docs/metrics.md: what the metrics say of themselves, and the labels seen when every kind of sample is there. */
export async function metricsMarkdown(): Promise<string> {
  const metrics = createMetrics("", () => FULL);
  metrics.recordRpc({ service: "", method: "", code: "" }, 0);
  const families = parseFamilies(await metrics.render()).filter(({ name }) => name.startsWith("m2m_gateway_"));
  const rows = families.map(
    ({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${[...labels].map(labelText).join("; ")} | ${help} |`,
  );
  const table = ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|", ...rows].join("\n");
  return `${INTRODUCTION}\n## Of the gateway\n\n${table}\n\n${RUNTIME}`;
}

function labelText([name, values]: [string, ReadonlySet<string>]): string {
  const closed = OPEN_LABELS.has(name) ? "" : `: ${[...values].map((value) => `\`${value}\``).join(", ")}`;
  return `\`${name}\`${closed}`;
}

/** Reads the text format as far as the gateway writes it: a family's comments, then its samples. */
function parseFamilies(text: string): Family[] {
  const families: Family[] = [];
  let help = "";
  for (const line of text.split("\n")) {
    const described = /^# HELP \S+ (.*)$/.exec(line);
    const typed = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (described !== null) help = described[1] ?? "";
    else if (typed !== null) families.push({ name: typed[1] ?? "", type: typed[2] ?? "", help, labels: new Map() });
    else for (const [, name = "", value = ""] of line.matchAll(/[{,](\w+)="([^"]*)"/g)) note(families, name, value);
  }
  return families;
}

function note(families: readonly Family[], label: string, value: string): void {
  const family = families.at(-1);
  // Every histogram has it, and nobody else.
  if (family === undefined || label === "le") return;
  family.labels.set(label, (family.labels.get(label) ?? new Set()).add(value));
}

const VERDICTS: Readonly<Record<Verdict, true>> = {
  valid: true,
  revoked: true,
  expired: true,
  not_granted: true,
  invalid: true,
};
const SOURCES: Readonly<Record<VerdictSource, true>> = {
  memory: true,
  redis: true,
  upstream: true,
  local: true,
  fact: true,
};
const NO_DURATIONS: DurationsSnapshot = { boundsMs: [], counts: [], sumMs: 0 };
const NONE = { create: 0, keys: 0, list: 0, revoke: 0, verify: 0 };

/** A status from which every metric has every label. */
const FULL: StatusSnapshot = {
  version: "",
  replica: "",
  open: { connections: 0, streams: 0, refusedStreams: 0 },
  overload: {
    inFlight: 0,
    pendingBytes: 0,
    loopDelayMs: 0,
    limits: { connections: 0, streams: 0, in_flight: 0, watchers: 0, pending_bytes: 0 },
    refused: { connections: 0, streams: 0, in_flight: 0, watchers: 0, pending_bytes: 0, event_loop: 0 },
  },
  spans: { exported: 0, failed: 0, dropped: 0 },
  startedAtMs: 0,
  freshness: { state: "synced", cursor: "", stalenessMs: 0, worstStalenessMs: 0, boundMs: 0 },
  feed: { reads: 0, failedReads: 0, lag: NO_DURATIONS },
  cache: { knownEntries: 0, knownBytes: 0, refusedEntries: 0, hits: 0, misses: 0, joined: 0, evictions: 0 },
  upstream: {
    url: "",
    reachable: true,
    rejectedKeys: [],
    lastFailureReason: "",
    requests: NONE,
    failures: NONE,
    calls: [{ operation: "create", outcome: "", count: 0 }],
    durations: {
      create: NO_DURATIONS,
      keys: NO_DURATIONS,
      list: NO_DURATIONS,
      revoke: NO_DURATIONS,
      verify: NO_DURATIONS,
    },
    retries: 0,
    shed: 0,
    inFlight: 0,
    queued: 0,
  },
  revocations: { live: 0, unrecorded: 0, watchers: 0, slowConsumers: 0, discovered: 0 },
  spend: {
    creations: 0,
    verifications: 0,
    savedVerifications: 0,
    savedCreations: 0,
    renewals: 0,
    spentUsdMicros: 0,
    savedUsdMicros: 0,
  },
  pool: { tokens: 0, hits: 0, joined: 0, creations: 0, renewals: 0, failures: 0, evictions: 0 },
  calls: { durationBoundsS: [], methods: [] },
  recentErrors: [],
  verifications: (Object.keys(VERDICTS) as Verdict[]).flatMap((verdict) =>
    (Object.keys(SOURCES) as VerdictSource[]).map((source) => ({ verdict, source, count: 0 })),
  ),
  callers: [{ name: "", admitted: 0, inFlight: 0 }],
  files: {
    reloads: (["callers", "tls", "upstream_tls", "upstream_key"] as const).map((files) => ({
      ...{ files, applied: 0, refused: 0, isRefused: false },
    })),
    certificates: (["server", "client_ca", "upstream_client", "upstream_ca"] as const).map((certificate) => ({
      ...{ certificate, notAfterMs: 0 },
    })),
  },
};
