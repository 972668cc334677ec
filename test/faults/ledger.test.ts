import { describe, expect, it } from "vitest";
import { type Acknowledgement, type Answer, Ledger, type TrackedToken } from "./ledger.ts";

const BOUND_MS = 1_000;
const ACK: Acknowledgement = { replica: "g1", incarnation: 1, atMs: 5_000, fleet: false };

function judge(answer: Partial<Answer>, acknowledged: Acknowledgement | undefined = ACK): Ledger {
  const token: TrackedToken = {
    id: "mt_1",
    secret: "mt_secret",
    isJwt: false,
    mintedAtMs: 0,
    failedRevocations: [],
    acknowledged,
    answers: [
      { replica: "g2", incarnation: 1, beganAtMs: 0, endedAtMs: 0, verdict: "VALID", source: "MEMORY", ...answer },
    ],
  };
  const ledger = new Ledger(BOUND_MS);
  ledger.judge(token);
  return ledger;
}

const rulesOf = (ledger: Ledger) => ledger.violations.map(({ rule }) => rule);

describe("the ledger", () => {
  it.each([
    ["VALID begun before the acknowledgement, however late it ends", { beganAtMs: 4_999, endedAtMs: 60_000 }],
    ["VALID of another replica within the bound", { beganAtMs: 6_000 }],
    ["REVOKED after the bound", { beganAtMs: 60_000, verdict: "REVOKED" }],
    ["no verdict after the bound", { beganAtMs: 60_000, verdict: "error" }],
    [
      "VALID within the bound from a successor of the process that acknowledged",
      {
        replica: "g1",
        incarnation: 2,
        beganAtMs: 5_500,
      },
    ],
  ])("accepts %s", (_, answer) => {
    expect(rulesOf(judge(answer))).toEqual([]);
  });

  it("finds VALID begun later than the bound after the acknowledgement", () => {
    expect(rulesOf(judge({ beganAtMs: 6_000.1 }))).toEqual(["after bound"]);
  });

  it("finds VALID begun after the fleet was said to know", () => {
    expect(rulesOf(judge({ beganAtMs: 5_000.1 }, { ...ACK, fleet: true }))).toEqual(["after fleet"]);
  });

  it("finds VALID from the process that had acknowledged", () => {
    expect(rulesOf(judge({ replica: "g1", beganAtMs: 5_000.1 }))).toEqual(["after own acknowledgement"]);
  });

  it("measures staleness from the acknowledgement to the beginning of the call", () => {
    expect(judge({ beganAtMs: 5_700, endedAtMs: 5_900 }).worstStalenessMs).toBe(700);
  });

  it("expects nothing of a token whose revocation was never acknowledged", () => {
    const token = judge({ beganAtMs: 60_000 });
    expect(rulesOf(token)).not.toEqual([]);
    const ledger = new Ledger(BOUND_MS);
    for (const { token: tracked } of token.violations) ledger.judge({ ...tracked, acknowledged: undefined });
    expect(ledger.violations).toEqual([]);
  });
});
