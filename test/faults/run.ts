/**
 * Breaks real gateways and a real Redis for a while and says whether every promise was kept. Needs `npm run build` first.
 *
 *     npm run faults -- [--seconds 60] [--json]
 *
 * Exit code 0: all kept. 1: one was broken, or the run failed. 2: usage.
 */
import { parseArgs } from "node:util";
import { brokenPromises, runFaults } from "./fault-run.ts";
import { jsonReport, printReport } from "./print-report.ts";

const DEFAULT_SECONDS = 60;
const BOUND_MS = 1_000;
const FAULT_MS = 3_000;
const HEALTHY_MS = 2_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seconds: { type: "string" }, json: { type: "boolean", default: false } },
  });
  const seconds = Number(values.seconds ?? DEFAULT_SECONDS);
  if (!(seconds > 0 && seconds <= 86_400)) {
    process.stderr.write("--seconds takes a number from 1 to 86400\n");
    return 2;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
  }
  const report = await runFaults({
    seconds,
    faultMs: FAULT_MS,
    healthyMs: HEALTHY_MS,
    boundMs: BOUND_MS,
    signal: stop.signal,
    onProgress: (what) => process.stderr.write(`${what}\n`),
  });
  process.stdout.write(values.json ? jsonReport(report) : printReport(report));
  if (values.json && report.violations.length > 0) process.stderr.write(printReport(report));
  const broken = brokenPromises(report);
  for (const promise of broken) process.stderr.write(`must be 0: ${promise}\n`);
  return broken.length === 0 ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
});
