import type { DurationsSnapshot, FreshnessState, Operation, StatusSnapshot } from "../status.ts";

/** One value of a metric. */
export interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export type Read = (status: StatusSnapshot) => readonly Sample[];

/** A metric whose values are owned elsewhere and read when somebody asks. */
export interface Pulled {
  readonly kind: "counter" | "gauge";
  /** Without the prefix that all have. */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: Read;
}

const FRESHNESS_STATES: readonly FreshnessState[] = ["synced", "unsynced", "degraded", "not_serving"];
const OPERATIONS: readonly Operation[] = ["create", "keys", "list", "revoke", "verify"];
const KEYS = ["machine", "instance"] as const;
const USD_PER_MICRO = 1e-6;

export const PULLED: readonly Pulled[] = [
  {
    kind: "counter",
    name: "verify_total",
    help: "Decided verifications, by verdict and by what decided.",
    labelNames: ["verdict", "source"],
    read: ({ verifications }) =>
      verifications.map(({ verdict, source, count }) => ({ value: count, labels: { verdict, source } })),
  },
  byOperation("upstream_requests_total", "HTTP requests sent to the upstream, retries included.", "requests"),
  {
    kind: "counter",
    name: "upstream_calls_total",
    help: "Upstream calls ended, waiting and repeats included, by outcome: `OK` when the upstream decided, else the reason.",
    labelNames: ["operation", "outcome"],
    read: ({ upstream }) =>
      upstream.calls.map(({ operation, outcome, count }) => ({ value: count, labels: { operation, outcome } })),
  },
  byOperation("upstream_failures_total", "Upstream calls that ended undecided.", "failures"),
  counter("upstream_retries_total", "HTTP requests that repeated a failed one.", (s) => s.upstream.retries),
  counter("upstream_shed_total", "Upstream calls refused here by the caps.", (s) => s.upstream.shed),
  gauge("upstream_in_flight", "Upstream calls under way.", (s) => s.upstream.inFlight),
  gauge("upstream_queued", "Upstream calls that wait for their turn.", (s) => s.upstream.queued),
  gauge("upstream_reachable", "1 if the upstream was reachable when last asked, else 0.", (s) =>
    s.upstream.reachable ? 1 : 0,
  ),
  {
    kind: "gauge",
    name: "upstream_credential_rejected",
    help: "1 while the upstream rejects the gateway's key of that kind, else 0.",
    labelNames: ["key"],
    read: ({ upstream }) =>
      KEYS.map((key) => ({ value: upstream.rejectedKeys.includes(key) ? 1 : 0, labels: { key } })),
  },
  {
    kind: "counter",
    name: "reloads_total",
    help: "How often files said something new, by what they are and by whether it could be used.",
    labelNames: ["files", "outcome"],
    read: ({ files: { reloads } }) =>
      reloads.flatMap(({ files, applied, refused }) => [
        { value: applied, labels: { files, outcome: "applied" } },
        { value: refused, labels: { files, outcome: "refused" } },
      ]),
  },
  {
    kind: "gauge",
    name: "reload_refused",
    help: "1 while files say something that cannot be used, so that what they said before still is, else 0.",
    labelNames: ["files"],
    read: ({ files: { reloads } }) =>
      reloads.map(({ files, isRefused }) => ({ value: isRefused ? 1 : 0, labels: { files } })),
  },
  {
    kind: "gauge",
    name: "certificate_expiry_timestamp_seconds",
    help: "When the certificate in use expires, the first one where there are several, in seconds since the epoch.",
    labelNames: ["certificate"],
    read: ({ files: { certificates } }) =>
      certificates.map(({ certificate, notAfterMs }) => ({ value: notAfterMs / 1000, labels: { certificate } })),
  },
  {
    kind: "gauge",
    name: "cache_entries",
    help: "Answers held, by kind: known tokens and refusals.",
    labelNames: ["kind"],
    read: ({ cache }) => [
      { value: cache.knownEntries, labels: { kind: "known" } },
      { value: cache.refusedEntries, labels: { kind: "refused" } },
    ],
  },
  gauge("cache_bytes", "Estimated size of the known tokens held.", (s) => s.cache.knownBytes),
  counter("cache_hits_total", "Verifications answered without the upstream.", (s) => s.cache.hits),
  counter("cache_misses_total", "Verifications that needed the upstream's answer.", (s) => s.cache.misses),
  counter("cache_joined_total", "Misses that joined a question under way.", (s) => s.cache.joined),
  counter("cache_evictions_total", "Answers dropped because the cache was full.", (s) => s.cache.evictions),
  gauge("revocations_live", "Revocations held.", (s) => s.revocations.live),
  gauge("revocations_unrecorded", "Revocations that the log has not recorded yet.", (s) => s.revocations.unrecorded),
  {
    kind: "counter",
    name: "caller_calls_total",
    help: "Calls let in, by who made them as the callers' file names them; `unnamed` are all others.",
    labelNames: ["caller"],
    read: ({ callers }) => callers.map(({ name, admitted }) => ({ value: admitted, labels: { caller: name } })),
  },
  {
    kind: "gauge",
    name: "caller_calls_in_flight",
    help: "Calls and streams under way, by who made them.",
    labelNames: ["caller"],
    read: ({ callers }) => callers.map(({ name, inFlight }) => ({ value: inFlight, labels: { caller: name } })),
  },
  gauge("connections", "Open connections of the RPC port.", (s) => s.open.connections),
  gauge("streams", "Requests under way over HTTP/2, streams among them.", (s) => s.open.streams),
  gauge("in_flight", "Calls under way, apart from those that memory answers at once.", (s) => s.overload.inFlight),
  gauge(
    "pending_bytes",
    "Bytes of requests and answers that wait for the rest of their call.",
    (s) => s.overload.pendingBytes,
  ),
  gauge(
    "event_loop_delay_seconds",
    "Delay of the event loop that stands: the least of the last few measured.",
    (s) => s.overload.loopDelayMs / 1000,
  ),
  byLimit("gauge", "limit", "How much there may be of what the label names.", "limits"),
  byLimit("counter", "refused_total", "Connections, streams and calls refused, by the bound that they met.", "refused"),
  gauge("watchers", "Open streams of revocations.", (s) => s.revocations.watchers),
  counter("slow_consumers_total", "Streams cut because they were read too slowly.", (s) => s.revocations.slowConsumers),
  counter(
    "discovered_revocations_total",
    "Revocations made elsewhere that this replica found out about by itself.",
    (status) => status.revocations.discovered,
  ),
  counter(
    "renewals_total",
    "Verifications made on nobody's behalf, to renew hot verdicts.",
    (status) => status.spend.renewals,
  ),
  gauge("staleness_seconds", "Time without proof of having read the log.", (s) => s.freshness.stalenessMs / 1000),
  gauge(
    "worst_staleness_seconds",
    "Longest staleness at which a cached verdict was used.",
    (s) => s.freshness.worstStalenessMs / 1000,
  ),
  gauge(
    "staleness_bound_seconds",
    "Staleness beyond which no cached verdict is used.",
    (s) => s.freshness.boundMs / 1000,
  ),
  {
    kind: "gauge",
    name: "freshness_state",
    help: "1 for the state that the gateway is in, 0 for the others.",
    labelNames: ["state"],
    read: ({ freshness }) =>
      FRESHNESS_STATES.map((state) => ({ value: state === freshness.state ? 1 : 0, labels: { state } })),
  },
  counter("feed_reads_total", "Times the log of revocations was read to its end.", (s) => s.feed.reads),
  counter("feed_read_failures_total", "Times the log could not be read.", (s) => s.feed.failedReads),
  {
    kind: "counter",
    name: "spend_calls_total",
    help: "Upstream calls that the list price bills: tokens created and verifications answered.",
    labelNames: ["operation"],
    read: ({ spend }) => [
      { value: spend.creations, labels: { operation: "create" } },
      { value: spend.verifications, labels: { operation: "verify" } },
    ],
  },
  {
    kind: "counter",
    name: "saved_calls_total",
    help: "Verifications answered, and tokens acquired, without an upstream call of their own.",
    labelNames: ["operation"],
    read: ({ spend }) => [
      { value: spend.savedCreations, labels: { operation: "create" } },
      { value: spend.savedVerifications, labels: { operation: "verify" } },
    ],
  },
  {
    kind: "counter",
    name: "trace_spans_total",
    help: "Spans of traces, by what became of them: taken by the collector, not taken, or dropped because too many waited.",
    labelNames: ["outcome"],
    read: ({ spans }) => [
      { value: spans.exported, labels: { outcome: "exported" } },
      { value: spans.failed, labels: { outcome: "failed" } },
      { value: spans.dropped, labels: { outcome: "dropped" } },
    ],
  },
  gauge("pool_tokens", "Tokens held for AcquireToken.", (s) => s.pool.tokens),
  counter("pool_hits_total", "Tokens acquired from memory.", (s) => s.pool.hits),
  counter("pool_joined_total", "Tokens acquired from a creation that was under way.", (s) => s.pool.joined),
  {
    kind: "counter",
    name: "pool_creations_total",
    help: "Creations for AcquireToken, by whether a caller waited for it or it was ahead of need.",
    labelNames: ["kind"],
    read: ({ pool }) => [
      { value: pool.creations, labels: { kind: "awaited" } },
      { value: pool.renewals, labels: { kind: "renewal" } },
    ],
  },
  counter("pool_failures_total", "Creations for AcquireToken that failed.", (s) => s.pool.failures),
  counter("pool_evictions_total", "Acquired tokens dropped because the pool was full.", (s) => s.pool.evictions),
  counter(
    "spend_usd_total",
    "Cost of upstream calls by list price, in US dollars.",
    (s) => s.spend.spentUsdMicros * USD_PER_MICRO,
  ),
  counter(
    "saved_usd_total",
    "Cost of the upstream calls spared by list price, in US dollars.",
    (s) => s.spend.savedUsdMicros * USD_PER_MICRO,
  ),
];

/** A histogram whose durations are counted elsewhere. */
export interface PulledHistogram {
  /** Without the prefix that all have. */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: (status: StatusSnapshot) => readonly TimedSeries[];
}

export interface TimedSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly durations: DurationsSnapshot;
}

export const PULLED_HISTOGRAMS: readonly PulledHistogram[] = [
  {
    name: "feed_lag_seconds",
    help: "From the making of a revocation at whichever replica, by its clock, to its application at this one, by this clock.",
    labelNames: [],
    read: ({ feed }) => [{ labels: {}, durations: feed.lag }],
  },
  {
    name: "upstream_duration_seconds",
    help: "How long upstream calls took, waiting and repeats included.",
    labelNames: ["operation"],
    read: ({ upstream }) =>
      OPERATIONS.map((operation) => ({ labels: { operation }, durations: upstream.durations[operation] })),
  },
];

function counter(name: string, help: string, value: (status: StatusSnapshot) => number): Pulled {
  return { kind: "counter", name, help, labelNames: [], read: (status) => [{ value: value(status) }] };
}

function gauge(name: string, help: string, value: (status: StatusSnapshot) => number): Pulled {
  return { kind: "gauge", name, help, labelNames: [], read: (status) => [{ value: value(status) }] };
}

function byLimit(kind: Pulled["kind"], name: string, help: string, field: "limits" | "refused"): Pulled {
  const read: Read = ({ overload }) =>
    Object.entries(overload[field]).map(([limit, value]) => ({ value, labels: { limit } }));
  return { kind, name, help, labelNames: ["limit"], read };
}

function byOperation(name: string, help: string, field: "requests" | "failures"): Pulled {
  return {
    kind: "counter",
    name,
    help,
    labelNames: ["operation"],
    read: ({ upstream }) =>
      OPERATIONS.map((operation) => ({ value: upstream[field][operation], labels: { operation } })),
  };
}
