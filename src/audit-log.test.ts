import { describe, expect, it } from "vitest";
import { FakeClock } from "../test/support/fake-clock.ts";
import { createAuditLog } from "./audit-log.ts";
import { createLogger } from "./logger.ts";
import type { AuditRecord } from "./rpc/audit.ts";

const RECORD: AuditRecord = {
  caller: "orders",
  address: "192.0.2.1",
  service: "m2mgateway.v1.TokenService",
  method: "CreateToken",
  protocol: "grpc",
  code: "OK",
  reason: undefined,
  tokenId: `mt_${"0a".repeat(16)}`,
  subject: `mch_${"a".repeat(27)}`,
  keyId: undefined,
  subjectRevocation: undefined,
  callerLeft: false,
  requestId: "r-1",
};

function open(level: "silent" | "warn" = "warn") {
  const lines: string[] = [];
  const clock = new FakeClock();
  const log = createLogger({ level, format: "json", stream: { write: (line) => lines.push(line) } });
  const audit = createAuditLog(log, clock);
  return { audit, clock, read: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe("the audit log", () => {
  it.each(["warn", "silent"] as const)("is written whatever the level of the log: %s", (level) => {
    const { audit, read } = open(level);
    audit(RECORD);
    const { callerLeft: _, ...said } = RECORD;
    expect(read()).toEqual([
      { ...said, reason: undefined, level: "info", audit: true, msg: "audit", time: expect.any(String) },
    ]);
  });

  it("tells that the caller did not stay, and how far the revocation of a machine's tokens came", () => {
    const { audit, read } = open();
    const subjectRevocation = { issuedBeforeMs: 1_800_000_000_000, revoked: 3, incompleteReason: undefined };
    audit({ ...RECORD, code: "CANCELLED", tokenId: undefined, callerLeft: true, subjectRevocation });
    expect(read()).toMatchObject([{ callerLeft: true, issuedBefore: "2027-01-15T08:00:00.000Z", revoked: 3 }]);
    expect(Object.keys(read()[0] ?? {})).not.toContain("subjectRevocation");
  });

  it("names JWTs without what the log would take for a secret, and by what the upstream says alone", () => {
    const { audit, read } = open();
    const tokenId = `mt_${"Zz".repeat(16)}`;
    audit({ ...RECORD, tokenId });
    audit({ ...RECORD, tokenId, code: "NOT_FOUND" });
    expect(read().map(({ tokenId: id, jwtId }) => [id, jwtId])).toEqual([
      [undefined, "Zz".repeat(16)],
      ["[redacted]", undefined],
    ]);
  });

  it("is not filled by strangers, and says how many lines it left out", () => {
    const { audit, clock, read } = open();
    const stranger = { ...RECORD, caller: undefined, code: "UNAUTHENTICATED" };
    for (let call = 0; call < 100; call += 1) audit(stranger);
    audit(RECORD);
    expect(read()).toHaveLength(21);
    expect(read().at(-1)).toMatchObject({ caller: "orders", suppressed: 80 });
    clock.advance(1_000);
    audit(stranger);
    expect(read()).toHaveLength(22);
    expect(read().at(-1)).not.toHaveProperty("suppressed");
  });
});
