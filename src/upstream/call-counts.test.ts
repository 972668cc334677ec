import { expect, it } from "vitest";
import { CallCounts } from "./call-counts.ts";

it("counts calls by operation and outcome, and times them by operation", () => {
  const calls = new CallCounts();
  calls.ended("verify", "OK", 3);
  calls.ended("verify", "OK", 4);
  calls.ended("verify", "UPSTREAM_TIMEOUT", 2_000);
  calls.ended("create", "UPSTREAM_CREDENTIAL_REJECTED", 1);
  expect(calls.rows().filter(({ count }) => count > 0)).toEqual([
    { operation: "create", outcome: "UPSTREAM_CREDENTIAL_REJECTED", count: 1 },
    { operation: "verify", outcome: "OK", count: 2 },
    { operation: "verify", outcome: "UPSTREAM_TIMEOUT", count: 1 },
  ]);
  expect(calls.rows()).toContainEqual({ operation: "list", outcome: "UPSTREAM_CREDENTIAL_REJECTED", count: 0 });
  expect(calls.durations.verify.sumMs).toBe(2_007);
  expect(calls.durations.list.sumMs).toBe(0);
});
