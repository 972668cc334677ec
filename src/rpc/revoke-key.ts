import type { ServiceImpl } from "@connectrpc/connect";
import type { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import { callerOf } from "./call-context.ts";
import { demandSubject } from "./caller-subjects.ts";
import { propagationFrom, wirePropagation } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createRevokeKey({
  subjectRevoker,
}: Pick<RpcDependencies, "subjectRevoker">): ServiceImpl<typeof RevocationService>["revokeKey"] {
  return async ({ keyId, reason, wait }, { values }) => {
    demandSubject(callerOf(values), undefined);
    const published = await subjectRevoker.revokeKey(keyId, reason === "" ? undefined : reason, propagationFrom(wait));
    return {
      cursor: formatCursor(published.cursor),
      propagation: wirePropagation(published.propagation),
      unconfirmedReplicas: [...published.unconfirmed],
    };
  };
}
