import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  Enforcement,
  type M2MToken,
  M2MTokenSchema,
  type RevokeTokenRequest,
  TokenFormat,
  type TokenService,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import { GatewayError } from "../token/errors.ts";
import type { RevokeRequest, RevokeResult } from "../token/revoker.ts";
import type { TokenId } from "../token/token.ts";
import { callerOf, noteWork, servicesOf } from "./call-context.ts";
import { propagationFrom, wirePropagation, wireToken } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createRevokeToken(dependencies: RpcDependencies): ServiceImpl<typeof TokenService>["revokeToken"] {
  return async ({ target, format, reason, wait }, { signal, values }) => {
    const { revoker } = servicesOf(values, dependencies);
    const result = await revoker.revoke({
      target: targetFrom(target, format),
      reason: reason === "" ? undefined : reason,
      wait: propagationFrom(wait),
      subjects: callerOf(values)?.subjects,
      onBegun: (work) => noteWork(values, work.then(responseOf)),
      signal,
    });
    return responseOf(result);
  };
}

function responseOf(result: RevokeResult) {
  return {
    token: wireRevokedToken(result),
    cursor: formatCursor(result.cursor),
    propagation: wirePropagation(result.propagation),
    unconfirmedReplicas: [...result.unconfirmed],
    enforcement: result.enforcement === "upstream" ? Enforcement.UPSTREAM : Enforcement.GATEWAYS,
  };
}

function targetFrom(target: RevokeTokenRequest["target"], format: TokenFormat): RevokeRequest["target"] {
  switch (target.case) {
    case "tokenId":
      return { tokenId: target.value as TokenId, isJwt: format === TokenFormat.JWT };
    case "token":
      return { presented: target.value };
    case undefined:
      throw new GatewayError("ARGUMENT_INVALID", "name the token to revoke");
  }
}

function wireRevokedToken({ token, fact, enforcement }: RevokeResult): M2MToken {
  if (token !== undefined) return wireToken(token);
  return create(M2MTokenSchema, {
    id: fact.tokenId,
    subject: fact.subject ?? "",
    format: enforcement === "gateways" ? TokenFormat.JWT : TokenFormat.OPAQUE,
    revoked: true,
    revocationReason: fact.reason ?? "",
  });
}
