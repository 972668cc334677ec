import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetSnapshot } from "../fleet-view.ts";
import {
  AccessSchema,
  FreshnessState,
  type GatewayService,
  type GetStatusResponse,
  GetStatusResponseSchema,
} from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import type { RecentError } from "../status/snapshots.ts";
import type { StatusSnapshot } from "../status.ts";
import { formatCursor } from "../token/cursor.ts";
import { callerOf } from "./call-context.ts";
import { wireDuration, wireSource, wireTime, wireVerdict } from "./convert.ts";
import { mergeStatus } from "./merge-status.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

const FRESHNESS: Record<StatusSnapshot["freshness"]["state"], FreshnessState> = {
  synced: FreshnessState.SYNCED,
  unsynced: FreshnessState.UNSYNCED,
  degraded: FreshnessState.DEGRADED,
  not_serving: FreshnessState.NOT_SERVING,
};

export function createGetStatus(
  dependencies: Pick<RpcDependencies, "status" | "fleet" | "workers">,
): ServiceImpl<typeof GatewayService>["getStatus"] {
  return async (_request, { values }) => {
    const caller = callerOf(values);
    const access = caller && create(AccessSchema, { caller: caller.name, roles: [...caller.roles] });
    const [fleet, workers] = await Promise.all([dependencies.fleet?.read(), dependencies.workers?.()]);
    const own = wireStatus(dependencies.status(), fleet);
    const status = workers === undefined ? own : mergeStatus(own, workers);
    return access === undefined ? status : { ...status, access };
  };
}

/** @param fleet who follows the log, where this process can tell */
export function wireStatus(status: StatusSnapshot, fleet: FleetSnapshot | undefined): GetStatusResponse {
  const { version, replica, startedAtMs, cache, revocations, spend, pool } = status;
  return create(GetStatusResponseSchema, {
    version,
    replica,
    startTime: timestampFromMs(startedAtMs),
    freshness: wireFreshness(status.freshness),
    cache: wireCounts(cache),
    upstream: wireUpstream(status.upstream),
    revocations: wireCounts(revocations),
    spend: wireCounts(spend),
    pool: wireCounts(pool),
    verifications: status.verifications.map(({ verdict, source, count }) => ({
      verdict: wireVerdict(verdict),
      source: wireSource(source),
      count: BigInt(count),
    })),
    ...wireCalls(status.calls),
    recentErrors: status.recentErrors.map(wireRecentError),
    ...(fleet === undefined ? {} : { fleet: wireFleet(fleet, replica) }),
  });
}

function wireFreshness({ state, cursor, stalenessMs, worstStalenessMs, boundMs }: StatusSnapshot["freshness"]) {
  return {
    state: wireFreshnessState(state),
    cursor,
    staleness: wireDuration(stalenessMs),
    worstStaleness: wireDuration(worstStalenessMs),
    bound: wireDuration(boundMs),
  };
}

function wireUpstream(upstream: StatusSnapshot["upstream"]) {
  return {
    url: upstream.url,
    reachable: upstream.reachable,
    lastFailureReason: upstream.lastFailureReason,
    requests: wireCounts(upstream.requests),
    failures: wireCounts(upstream.failures),
    retries: BigInt(upstream.retries),
    shed: BigInt(upstream.shed),
    inFlight: BigInt(upstream.inFlight),
    queued: BigInt(upstream.queued),
    rejectedKeys: [...upstream.rejectedKeys],
  };
}

function wireCalls({ durationBoundsS, methods }: StatusSnapshot["calls"]) {
  return {
    durationBounds: durationBoundsS.map(wireBound),
    calls: methods.map(({ service, method, codes, durations }) => ({
      service,
      method,
      codes: Object.fromEntries([...codes].map(([code, count]) => [code, BigInt(count)])),
      durations: Array.from(durations, BigInt),
    })),
  };
}

/** Bounds are exact, and the least of them far below the milliseconds that other durations are rounded to. */
function wireBound(boundS: number): Duration {
  const seconds = Math.floor(boundS);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((boundS - seconds) * 1e9) });
}

function wireRecentError({ service, method, code, reason, count, firstAtMs, lastAtMs }: RecentError) {
  const [firstTime, lastTime] = [wireTime(firstAtMs), wireTime(lastAtMs)];
  return { service, method, code, reason, count: BigInt(count), firstTime, lastTime };
}

function wireFleet({ replicas, readAtMs }: FleetSnapshot, self: string) {
  return {
    replicas: replicas.map(({ name, applied, silenceMs }) => ({
      name,
      cursor: applied === undefined ? "" : formatCursor(applied),
      silence: wireDuration(silenceMs),
      self: name === self,
    })),
    ...(readAtMs === undefined ? {} : { readTime: wireTime(readAtMs) }),
  };
}

export function wireFreshnessState(state: StatusSnapshot["freshness"]["state"]): FreshnessState {
  return FRESHNESS[state];
}

/** Counters of the snapshot have the names of the proto's fields; only their type differs. */
function wireCounts<K extends string>(counts: Readonly<Record<K, number>>): Record<K, bigint> {
  const wire = {} as Record<K, bigint>;
  for (const name of Object.keys(counts) as K[]) wire[name] = BigInt(Math.round(counts[name]));
  return wire;
}
