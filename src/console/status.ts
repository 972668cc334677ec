import type { Fields } from "./json.ts";

/** What GetStatus tells, as far as the page shows it. Counters begin at zero with the gateway's process. */
export interface Status {
  readonly version: string;
  readonly replica: string;
  readonly startedAtMs: number;
  readonly freshness: Freshness;
  readonly cache: Cache;
  readonly upstream: Upstream;
  readonly revocations: { readonly live: number; readonly unrecorded: number; readonly watchers: number };
  readonly spend: { readonly spentUsd: number; readonly savedUsd: number };
  readonly verifications: readonly Verification[];
  readonly calls: readonly Calls[];
  /** Of `Calls.durations`, ascending. */
  readonly durationBoundsMs: readonly number[];
  readonly errors: readonly RecentError[];
  /** `undefined` where the gateway cannot tell. */
  readonly fleet: Fleet | undefined;
  /** `undefined` where there is one process. */
  readonly workers: Workers | undefined;
  /** What the caller may do; `undefined` where the gateway does not tell callers apart, and so all of it. */
  readonly roles: readonly string[] | undefined;
}

/** SYNCED, UNSYNCED, DEGRADED or NOT_SERVING. */
export interface Freshness {
  readonly state: string;
  readonly cursor: string;
  readonly stalenessMs: number;
  readonly worstStalenessMs: number;
  readonly boundMs: number;
}

export interface Cache {
  readonly entries: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
}

export interface Upstream {
  readonly url: string;
  readonly isReachable: boolean;
  readonly lastFailureReason: string;
  readonly requests: number;
  readonly failures: number;
  readonly retries: number;
  readonly shed: number;
  readonly inFlight: number;
  readonly queued: number;
}

export interface Verification {
  /** VALID, REVOKED, … */
  readonly verdict: string;
  /** MEMORY, UPSTREAM, … */
  readonly source: string;
  readonly count: number;
}

export interface Calls {
  readonly service: string;
  readonly method: string;
  /** By name of the status code. */
  readonly codes: ReadonlyMap<string, number>;
  readonly durations: readonly number[];
}

export interface RecentError {
  readonly method: string;
  readonly code: string;
  readonly reason: string;
  readonly count: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

export interface Fleet {
  readonly replicas: readonly Replica[];
  /** `undefined` while nobody could be asked. */
  readonly readAtMs: number | undefined;
}

export interface Replica {
  readonly name: string;
  /** Empty while it has applied nothing of the present log. */
  readonly cursor: string;
  readonly silenceMs: number;
  readonly isSelf: boolean;
}

export interface Workers {
  readonly configured: number;
  readonly reporting: number;
  readonly restarts: number;
}

const USD_PER_MICRO = 1e-6;

export function statusOf(json: Fields): Status {
  const spend = json.object("spend");
  const revocations = json.object("revocations");
  return {
    version: json.text("version"),
    replica: json.text("replica"),
    startedAtMs: json.timeMs("startTime") ?? 0,
    freshness: freshnessOf(json.object("freshness")),
    cache: cacheOf(json.object("cache")),
    upstream: upstreamOf(json.object("upstream")),
    revocations: {
      live: revocations.count("live"),
      unrecorded: revocations.count("unrecorded"),
      watchers: revocations.count("watchers"),
    },
    spend: {
      spentUsd: spend.count("spentUsdMicros") * USD_PER_MICRO,
      savedUsd: spend.count("savedUsdMicros") * USD_PER_MICRO,
    },
    verifications: json.list("verifications").map((one) => ({
      verdict: one.choice("verdict", "VERDICT_"),
      source: one.choice("source", "SOURCE_"),
      count: one.count("count"),
    })),
    calls: json.list("calls").map(callsOf),
    durationBoundsMs: json.durationsMs("durationBounds"),
    errors: json.list("recentErrors").map(errorOf),
    fleet: json.has("fleet") ? fleetOf(json.object("fleet")) : undefined,
    workers: json.has("workers") ? workersOf(json.object("workers")) : undefined,
    roles: json.has("access") ? json.object("access").texts("roles") : undefined,
  };
}

function freshnessOf(json: Fields): Freshness {
  return {
    state: json.choice("state", "FRESHNESS_STATE_"),
    cursor: json.text("cursor"),
    stalenessMs: json.durationMs("staleness"),
    worstStalenessMs: json.durationMs("worstStaleness"),
    boundMs: json.durationMs("bound"),
  };
}

function cacheOf(json: Fields): Cache {
  return {
    entries: json.count("knownEntries") + json.count("refusedEntries"),
    hits: json.count("hits"),
    misses: json.count("misses"),
    evictions: json.count("evictions"),
  };
}

function upstreamOf(json: Fields): Upstream {
  return {
    url: json.text("url"),
    isReachable: json.flag("reachable"),
    lastFailureReason: json.text("lastFailureReason"),
    requests: total(json.countsByName("requests")),
    failures: total(json.countsByName("failures")),
    retries: json.count("retries"),
    shed: json.count("shed"),
    inFlight: json.count("inFlight"),
    queued: json.count("queued"),
  };
}

function callsOf(json: Fields): Calls {
  return {
    service: json.text("service"),
    method: json.text("method"),
    codes: json.countsByName("codes"),
    durations: json.counts("durations"),
  };
}

function errorOf(json: Fields): RecentError {
  return {
    method: json.text("method"),
    code: json.text("code"),
    reason: json.text("reason"),
    count: json.count("count"),
    firstAtMs: json.timeMs("firstTime") ?? 0,
    lastAtMs: json.timeMs("lastTime") ?? 0,
  };
}

function fleetOf(json: Fields): Fleet {
  const replicas = json.list("replicas").map((one) => ({
    name: one.text("name"),
    cursor: one.text("cursor"),
    silenceMs: one.durationMs("silence"),
    isSelf: one.flag("self"),
  }));
  return { replicas, readAtMs: json.timeMs("readTime") };
}

function workersOf(json: Fields): Workers {
  return {
    configured: json.count("configured"),
    reporting: json.count("reporting"),
    restarts: json.count("restarts"),
  };
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
