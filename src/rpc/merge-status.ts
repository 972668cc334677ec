import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type CallStatus,
  type Freshness,
  FreshnessState,
  type GetStatusResponse,
  GetStatusResponseSchema,
  type RecentError,
  type UpstreamStatus,
  type VerificationCount,
} from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { type Cursor, compareCursors, parseCursor } from "../token/cursor.ts";
import { msFromDuration } from "./convert.ts";

/** What several workers say of themselves. */
export interface WorkerStatuses {
  readonly configured: number;
  readonly restarts: number;
  /** Of those that answered, as `encodeStatus` makes it. */
  readonly statuses: readonly string[];
}

/** From the best to the worst. */
const STATES: readonly FreshnessState[] = [
  FreshnessState.SYNCED,
  FreshnessState.DEGRADED,
  FreshnessState.UNSYNCED,
  FreshnessState.NOT_SERVING,
];

const MAX_ERRORS = 50;

/** For another process of this host. */
export function encodeStatus(status: GetStatusResponse): string {
  return toJsonString(GetStatusResponseSchema, status);
}

/**
 * One status for a gateway of several processes: counters added up, the freshness of the worst. `own` is of the process
 * that answers, which serves no RPC port: its counters count, its state does not.
 *
 * @throws Error when a status is not one that `encodeStatus` made
 */
export function mergeStatus(own: GetStatusResponse, workers: WorkerStatuses): GetStatusResponse {
  const theirs = workers.statuses.map((text) => fromJsonString(GetStatusResponseSchema, text));
  const all = [own, ...theirs];
  return create(GetStatusResponseSchema, {
    version: own.version,
    replica: own.replica,
    startTime: own.startTime,
    fleet: own.fleet,
    durationBounds: own.durationBounds,
    freshness: mergeFreshness(theirs.flatMap(({ freshness }) => (freshness === undefined ? [] : [freshness]))),
    cache: sum(all.map(({ cache }) => cache)),
    upstream: mergeUpstream(all.flatMap(({ upstream }) => (upstream === undefined ? [] : [upstream]))),
    revocations: { ...sum(all.map(({ revocations }) => revocations)), live: own.revocations?.live ?? 0n },
    spend: sum(all.map(({ spend }) => spend)),
    pool: sum(all.map(({ pool }) => pool)),
    verifications: mergeVerifications(all.flatMap(({ verifications }) => verifications)),
    calls: mergeCalls(all.flatMap(({ calls }) => calls)),
    recentErrors: mergeErrors(all.flatMap(({ recentErrors }) => recentErrors)),
    workers: { configured: workers.configured, reporting: theirs.length, restarts: BigInt(workers.restarts) },
  });
}

/** Where no worker tells, nothing is served. */
function mergeFreshness(all: readonly Freshness[]) {
  const worst = Math.max(...all.map(({ state }) => STATES.indexOf(state)));
  return {
    state: STATES[worst] ?? FreshnessState.NOT_SERVING,
    cursor: all.map(({ cursor }) => cursor).reduce(earlier, all[0]?.cursor ?? ""),
    staleness: all.map(({ staleness }) => staleness).reduce(longer, undefined),
    worstStaleness: all.map(({ worstStaleness }) => worstStaleness).reduce(longer, undefined),
    bound: all[0]?.bound,
  };
}

function longer(a: Duration | undefined, b: Duration | undefined): Duration | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return msFromDuration(a) >= msFromDuration(b) ? a : b;
}

/** Of different epochs, the first: one of the two is about to change. */
function earlier(a: string, b: string): string {
  const [one, other]: Cursor[] = [parseCursor(a), parseCursor(b)];
  if (one === undefined || other === undefined || one.epoch !== other.epoch) return a;
  return compareCursors(one, other) <= 0 ? a : b;
}

type Counts<M> = { [K in keyof M as M[K] extends bigint ? K : never]: bigint };

/** Of messages whose fields are all counters. */
function sum<M extends object>(messages: readonly (M | undefined)[]): Counts<M> {
  const total: Record<string, bigint> = {};
  for (const message of messages) {
    for (const [name, value] of Object.entries(message ?? {})) {
      if (typeof value === "bigint") total[name] = (total[name] ?? 0n) + value;
    }
  }
  return total as Counts<M>;
}

function mergeUpstream(all: readonly UpstreamStatus[]) {
  return {
    ...sum(all),
    url: all[0]?.url ?? "",
    reachable: all.every(({ reachable }) => reachable),
    lastFailureReason: all.find(({ lastFailureReason }) => lastFailureReason !== "")?.lastFailureReason ?? "",
    requests: sum(all.map(({ requests }) => requests)),
    failures: sum(all.map(({ failures }) => failures)),
  };
}

function mergeVerifications(all: readonly VerificationCount[]) {
  const groups = groupBy(all, ({ verdict, source }) => `${verdict} ${source}`);
  return groups.map(([first, ...others]) => ({ ...first, count: total([first, ...others].map(({ count }) => count)) }));
}

function mergeCalls(all: readonly CallStatus[]) {
  return groupBy(all, ({ service, method }) => `${service}/${method}`).map((group) => ({
    ...group[0],
    codes: sum(group.map(({ codes }) => codes)),
    durations: group[0].durations.map((_, at) => total(group.map(({ durations }) => durations[at] ?? 0n))),
  }));
}

function mergeErrors(all: readonly RecentError[]) {
  const lastAtMs = ({ lastTime }: { lastTime?: Timestamp | undefined }) =>
    lastTime === undefined ? 0 : timestampMs(lastTime);
  const kinds = groupBy(all, ({ service, method, code, reason }) => `${service}/${method} ${code} ${reason}`);
  return kinds
    .map((group) => {
      const byTime = [...group].sort((a, b) => lastAtMs(b) - lastAtMs(a));
      const firstTimes = group.flatMap(({ firstTime }) => (firstTime === undefined ? [] : [firstTime]));
      const [firstTime] = firstTimes.sort((a, b) => timestampMs(a) - timestampMs(b));
      const { lastTime } = byTime[0] ?? {};
      return { ...group[0], firstTime, lastTime, count: total(group.map(({ count }) => count)) };
    })
    .sort((a, b) => lastAtMs(b) - lastAtMs(a))
    .slice(0, MAX_ERRORS);
}

function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): readonly [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return [...groups.values()];
}

function total(counts: readonly bigint[]): bigint {
  return counts.reduce((whole, count) => whole + count, 0n);
}
