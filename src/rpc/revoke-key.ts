import type { ServiceImpl } from "@connectrpc/connect";
import type { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import { callerOf, noteWork } from "./call-context.ts";
import { demandSubject } from "./caller-subjects.ts";
import { propagationFrom, wirePropagation } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createRevokeKey({
  subjectRevoker,
}: Pick<RpcDependencies, "subjectRevoker">): ServiceImpl<typeof RevocationService>["revokeKey"] {
  return async ({ keyId, reason, wait }, { values }) => {
    demandSubject(callerOf(values), undefined);
    const work = subjectRevoker.revokeKey(keyId, reason === "" ? undefined : reason, propagationFrom(wait));
    noteWork(values, work);
    const published = await work;
    return {
      cursor: formatCursor(published.cursor),
      propagation: wirePropagation(published.propagation),
      unconfirmedReplicas: [...published.unconfirmed],
    };
  };
}
