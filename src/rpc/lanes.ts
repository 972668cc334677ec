import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { AccessControl } from "./access-control.ts";
import type { CallReport, OnCall } from "./call-report.ts";
import type { Lanes } from "./engine-http2.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { createVerifyLane } from "./verify-lane.ts";
import { VerifyStreamLane } from "./verify-stream-lane.ts";
import { WatchLane } from "./watch-lane.ts";

/** @param onCalls as `onCall`, for a number of calls that ended alike */
export function createLanes(
  dependencies: RpcDependencies,
  access: AccessControl,
  onCall: OnCall,
  onCalls: (report: CallReport, count: number) => void,
): Lanes {
  const service = TokenService.typeName;
  const { name: method } = TokenService.method.verifyToken;
  const onAnswered = (count: number, durationMs: number) => {
    onCalls({ service, method, protocol: "grpc", code: "OK", reason: undefined, durationMs, error: undefined }, count);
  };
  return {
    unary: [createVerifyLane({ ...dependencies, access, onAnswered })],
    streams: [new VerifyStreamLane(dependencies, access, onCall), new WatchLane(dependencies, access, onCall)],
  };
}
