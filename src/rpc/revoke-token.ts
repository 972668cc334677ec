import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type M2MToken,
  M2MTokenSchema,
  Propagation,
  type RevokeTokenRequest,
  type TokenService,
  Wait,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import { GatewayError } from "../token/errors.ts";
import type { RevokeRequest, RevokeResult } from "../token/revoker.ts";
import type { TokenId } from "../token/token.ts";
import { callerOf, noteWork, servicesOf } from "./call-context.ts";
import { wireToken } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createRevokeToken(dependencies: RpcDependencies): ServiceImpl<typeof TokenService>["revokeToken"] {
  return async ({ target, reason, wait }, { signal, values }) => {
    const { revoker } = servicesOf(values, dependencies);
    const result = await revoker.revoke({
      target: targetFrom(target),
      reason: reason === "" ? undefined : reason,
      wait: wait === Wait.FLEET ? "fleet" : "replica",
      subjects: callerOf(values)?.subjects,
      onBegun: (work) => noteWork(values, work),
      signal,
    });
    return {
      token: wireRevokedToken(result),
      cursor: formatCursor(result.cursor),
      propagation: result.propagation === "fleet" ? Propagation.FLEET : Propagation.REPLICA,
      unconfirmedReplicas: [...result.unconfirmed],
    };
  };
}

function targetFrom(target: RevokeTokenRequest["target"]): RevokeRequest["target"] {
  switch (target.case) {
    case "tokenId":
      return { tokenId: target.value as TokenId };
    case "token":
      return { presented: target.value };
    case undefined:
      throw new GatewayError("ARGUMENT_INVALID", "name the token to revoke");
  }
}

function wireRevokedToken({ token, fact }: RevokeResult): M2MToken {
  if (token !== undefined) return wireToken(token);
  return create(M2MTokenSchema, {
    id: fact.tokenId,
    subject: fact.subject ?? "",
    revoked: true,
    revocationReason: fact.reason ?? "",
  });
}
