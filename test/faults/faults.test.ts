import { expect, it } from "vitest";
import { brokenPromises, runFaults } from "./fault-run.ts";
import { printReport } from "./print-report.ts";

it("keeps every promise while Redis and gateways are killed, paused, cut off and emptied", async ({ signal }) => {
  const report = await runFaults({ seconds: 12, faultMs: 700, healthyMs: 200, boundMs: 400, signal });
  expect(brokenPromises(report), printReport(report)).toEqual([]);
  expect(report.revocations).toBeGreaterThan(0);
}, 90_000);
