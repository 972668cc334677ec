import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  HeartbeatSchema,
  ResetReason,
  type RevocationService,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { formatCursor, parseCursor } from "../token/cursor.ts";
import { GatewayError } from "../token/errors.ts";
import type { MachineId } from "../token/token.ts";
import { type WatchEvent, watchRevocations } from "../token/watch.ts";
import { drainOf } from "./call-context.ts";
import { wireDuration, wireRevocation } from "./convert.ts";
import { wireFreshnessState } from "./get-status.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

/** What a watch is served from. */
export type WatchDependencies = Pick<
  RpcDependencies,
  "feed" | "revocations" | "clock" | "watch" | "watchers" | "admission" | "freshness"
>;

export function createWatchRevocations(
  dependencies: WatchDependencies,
): ServiceImpl<typeof RevocationService>["watchRevocations"] {
  const { feed, revocations, clock, watch, watchers, admission } = dependencies;
  return async function* ({ cursor, subjects }, { signal, values }) {
    if (hasTooManyWatchers(dependencies)) throw admission.refusal("watchers");
    const after = cursor === "" ? undefined : parseCursor(cursor);
    const events = watchRevocations({
      feed,
      revocations,
      clock,
      after,
      subjects: new Set(subjects as MachineId[]),
      ...watch,
      signal,
      drain: drainOf(values),
    });
    watchers.open += 1;
    try {
      for await (const event of events) yield wireEvent(event, dependencies);
    } catch (error) {
      if (error instanceof GatewayError && error.reason === "SLOW_CONSUMER") watchers.cut += 1;
      throw error;
    } finally {
      watchers.open -= 1;
    }
  };
}

export function hasTooManyWatchers({ watchers, admission }: WatchDependencies): boolean {
  return watchers.open >= admission.limits.maxWatchers;
}

export function wireEvent(event: WatchEvent, dependencies: WatchDependencies): WatchRevocationsResponse {
  return create(WatchRevocationsResponseSchema, {
    cursor: event.resumeAt === undefined ? "" : formatCursor(event.resumeAt),
    event: bodyOf(event, dependencies),
  });
}

function bodyOf(event: WatchEvent, { freshness }: WatchDependencies): WatchRevocationsResponse["event"] {
  switch (event.kind) {
    case "revocation":
      return { case: "revocation", value: wireRevocation(event.entry) };
    case "snapshot_complete":
      return {
        case: "snapshotComplete",
        value: { $typeName: "m2mgateway.v1.SnapshotComplete", size: BigInt(event.size) },
      };
    case "heartbeat": {
      const { state, stalenessMs } = freshness();
      const value = create(HeartbeatSchema, {
        freshness: wireFreshnessState(state),
        staleness: wireDuration(stalenessMs),
      });
      return { case: "heartbeat", value };
    }
    case "reset": {
      const reason = event.reason === "too_old" ? ResetReason.CURSOR_TOO_OLD : ResetReason.EPOCH_CHANGED;
      return { case: "reset", value: { $typeName: "m2mgateway.v1.Reset", reason } };
    }
  }
}
