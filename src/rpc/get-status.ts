import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { FreshnessState, type GatewayService } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import type { StatusSnapshot } from "../status.ts";
import { wireDuration } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

const FRESHNESS: Record<StatusSnapshot["freshness"]["state"], FreshnessState> = {
  synced: FreshnessState.SYNCED,
  unsynced: FreshnessState.UNSYNCED,
  degraded: FreshnessState.DEGRADED,
  not_serving: FreshnessState.NOT_SERVING,
};

export function createGetStatus({ status }: RpcDependencies): ServiceImpl<typeof GatewayService>["getStatus"] {
  return () => {
    const { version, replica, startedAtMs, freshness, cache, upstream, revocations, spend, pool } = status();
    return {
      version,
      replica,
      startTime: timestampFromMs(startedAtMs),
      freshness: {
        state: wireFreshnessState(freshness.state),
        cursor: freshness.cursor,
        staleness: wireDuration(freshness.stalenessMs),
        worstStaleness: wireDuration(freshness.worstStalenessMs),
        bound: wireDuration(freshness.boundMs),
      },
      cache: wireCounts(cache),
      upstream: {
        url: upstream.url,
        reachable: upstream.reachable,
        lastFailureReason: upstream.lastFailureReason,
        requests: wireCounts(upstream.requests),
        failures: wireCounts(upstream.failures),
        retries: BigInt(upstream.retries),
        shed: BigInt(upstream.shed),
        inFlight: BigInt(upstream.inFlight),
        queued: BigInt(upstream.queued),
      },
      revocations: wireCounts(revocations),
      spend: wireCounts(spend),
      pool: wireCounts(pool),
    };
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
