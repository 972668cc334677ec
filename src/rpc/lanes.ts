import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { AccessControl } from "./access-control.ts";
import type { ObserveCall } from "./call-observer.ts";
import type { CallQueue } from "./call-queue.ts";
import type { Lanes } from "./engine-http2.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { createVerifyLane, type VerifyLaneOptions } from "./verify-lane.ts";
import { VerifyStreamLane } from "./verify-stream-lane.ts";
import { WatchLane } from "./watch-lane.ts";
import { type LaneWatch, WatchedVerifyLane } from "./watched-verify-lane.ts";

/** What calls of VerifyToken that a lane answers are called. */
export const VERIFY_LANE_LABELS = {
  service: TokenService.typeName,
  method: TokenService.method.verifyToken.name,
  protocol: "grpc",
} as const;

export interface LanesObservers {
  readonly observe: ObserveCall;
  /** Told how many calls with `VERIFY_LANE_LABELS` were answered at once, all of them well, and how long that took. */
  readonly onAnswered: (count: number, durationMs: number) => void;
  /** `undefined` where no call of VerifyToken is to be looked at. */
  readonly watch: LaneWatch | undefined;
}

/** @param queue where calls wait that are not answered at once */
export function createLanes(
  dependencies: RpcDependencies,
  access: AccessControl,
  { observe, onAnswered, watch }: LanesObservers,
  queue: CallQueue,
): Lanes {
  const { verifier } = dependencies;
  const verifyLane = (lane: VerifyLaneOptions["verifier"]) =>
    createVerifyLane({ ...dependencies, verifier: lane, access, onAnswered });
  return {
    unary: [watch === undefined ? verifyLane(verifier) : new WatchedVerifyLane(verifier, verifyLane, watch)],
    streams: [new VerifyStreamLane(dependencies, access, observe), new WatchLane(dependencies, access, observe, queue)],
  };
}
