import type { Logger } from "./logger.ts";
import type { AuditRecord, OnAudit, SubjectRevocation } from "./rpc/audit.ts";
import type { Clock } from "./token/ports.ts";

/** Lines a second about calls of nobody who is known. What is beyond is counted: a stranger must not fill the log. */
const STRANGERS_PER_SECOND = 20;

/** What the log would take for a secret, is none in an answer of the upstream: the id of a JWT. */
const HEX_ID = /^mt_[0-9A-Fa-f]{32}$/;

/** Writes a line for each record, whatever the level of the log. */
export function createAuditLog(log: Logger, clock: Clock): OnAudit {
  const audit = log.child({ audit: true }, { level: "info" });
  let secondBeganMs = Number.NEGATIVE_INFINITY;
  let strangers = 0;
  let suppressed = 0;
  return (record) => {
    if (record.caller === undefined) {
      const nowMs = clock.monotonicMs();
      if (nowMs - secondBeganMs >= 1_000) {
        secondBeganMs = nowMs;
        strangers = 0;
      }
      strangers += 1;
      if (strangers > STRANGERS_PER_SECOND) {
        suppressed += 1;
        return;
      }
    }
    audit.info({ ...lineOf(record), ...(suppressed === 0 ? {} : { suppressed }) }, "audit");
    suppressed = 0;
  };
}

/** Only what there is to say. Without its `mt_`, the log lets the id of a JWT through. One that only a caller has named may be a secret by mistake. */
function lineOf({ tokenId, subjectRevocation, callerLeft, ...record }: AuditRecord) {
  const line = { ...record, ...revocationOf(subjectRevocation), ...(callerLeft ? { callerLeft } : {}) };
  if (tokenId === undefined || HEX_ID.test(tokenId) || record.code !== "OK") return { ...line, tokenId };
  return { ...line, jwtId: tokenId.replace(/^mt_/, "") };
}

function revocationOf(revocation: SubjectRevocation | undefined) {
  if (revocation === undefined) return {};
  const { issuedBeforeMs, ...rest } = revocation;
  return { issuedBefore: new Date(issuedBeforeMs).toISOString(), ...rest };
}
