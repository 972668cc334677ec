import type { ServiceImpl } from "@connectrpc/connect";
import type { GatewayService, InvalidateCacheRequest } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { GatewayError } from "../token/errors.ts";
import type { MachineId, TokenId } from "../token/token.ts";
import type { InvalidationTarget } from "../token/verdict-cache.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createInvalidateCache({
  verifier,
  spreadInvalidation,
}: RpcDependencies): ServiceImpl<typeof GatewayService>["invalidateCache"] {
  return async ({ target: wireTarget }, { signal }) => {
    const target = targetFrom(wireTarget);
    verifier.invalidate(target);
    await spreadInvalidation?.(target, signal);
    return {};
  };
}

function targetFrom(target: InvalidateCacheRequest["target"]): InvalidationTarget {
  switch (target.case) {
    case "tokenId":
      return { tokenId: target.value as TokenId };
    case "subject":
      return { subject: target.value as MachineId };
    case "all":
      return { all: true };
    case undefined:
      throw new GatewayError("ARGUMENT_INVALID", "say what to forget");
  }
}
