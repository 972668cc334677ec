import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type RevocationService,
  type RevokeSubjectResponse,
  RevokeSubjectResponseSchema,
  SubjectProgressSchema,
  SubjectSummarySchema,
  SubjectWatermarkSchema,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import type { SubjectProgress } from "../token/subject-revoker.ts";
import type { MachineId } from "../token/token.ts";
import { callerOf, noteSubjectRevocation, noteWork } from "./call-context.ts";
import { demandSubject } from "./caller-subjects.ts";
import { propagationFrom, wirePropagation, wireTime } from "./convert.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createRevokeSubject({
  subjectRevoker,
}: Pick<RpcDependencies, "subjectRevoker">): ServiceImpl<typeof RevocationService>["revokeSubject"] {
  return async function* ({ subject, issuedBefore, reason, wait }, { values, signal }) {
    demandSubject(callerOf(values), subject);
    let issuedBeforeMs = 0;
    let revoked = 0;
    const note = (incompleteReason?: string) => {
      noteSubjectRevocation(values, { issuedBeforeMs, revoked, incompleteReason });
    };
    const steps = subjectRevoker.revokeSubject({
      subject: subject as MachineId,
      issuedBeforeMs: issuedBefore === undefined ? undefined : timestampMs(issuedBefore),
      reason: reason === "" ? undefined : reason,
      wait: propagationFrom(wait),
      onRevoked() {
        revoked += 1;
        note();
      },
      signal,
    });
    // A step is noted before it is sent: the caller may have left while it was made.
    for await (const step of steps) {
      if (step.kind === "watermark") {
        issuedBeforeMs = step.issuedBeforeMs;
        note();
      }
      if (step.kind === "summary") {
        note(step.incompleteReason);
        // All is done: that the caller may leave now makes no difference.
        noteWork(values, Promise.resolve());
      }
      yield create(RevokeSubjectResponseSchema, { event: eventOf(step) });
    }
  };
}

function eventOf(step: SubjectProgress): RevokeSubjectResponse["event"] {
  switch (step.kind) {
    case "watermark": {
      const { issuedBeforeMs, cursor, propagation, unconfirmed } = step;
      const value = create(SubjectWatermarkSchema, {
        issuedBefore: wireTime(issuedBeforeMs),
        cursor: formatCursor(cursor),
        propagation: wirePropagation(propagation),
        unconfirmedReplicas: [...unconfirmed],
      });
      return { case: "watermark", value };
    }
    case "progress": {
      const value = create(SubjectProgressSchema, { revoked: BigInt(step.revoked), remaining: BigInt(step.remaining) });
      return { case: "progress", value };
    }
    case "summary": {
      const { revoked, incompleteReason } = step;
      const value = create(SubjectSummarySchema, {
        revoked: BigInt(revoked),
        complete: incompleteReason === undefined,
        incompleteReason: incompleteReason ?? "",
      });
      return { case: "summary", value };
    }
  }
}
