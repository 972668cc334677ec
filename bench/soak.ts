/**
 * Full load on a real gateway, with everything besides that clients do, and at the end the question what of it is left.
 *
 *     npm run soak -- [--minutes 10] [--json file]
 *
 * Exit code 0: memory was flat and nothing is left. 1: it was not, or something is, or an answer was wrong. 2: usage.
 */
import { writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BenchGateway } from "./kit/bench-gateway.ts";
import { reasonOf } from "./kit/cannot-run.ts";
import { type Material, makeMaterial } from "./kit/material.ts";
import { createWorld, type World } from "./kit/world.ts";
import { runH2load } from "./load/h2load.ts";
import { runningGateway } from "./peers/gateway.ts";
import { type Sample, sampleUntil, type Trend, takeSample, trendOf } from "./soak/samples.ts";
import { mixedTraffic, type Tally } from "./soak/traffic.ts";

const SAMPLE_INTERVAL_MS = 5_000;
/** Each part of the load opens its connections anew. */
const PART_SECONDS = 20;
const SETTLE_MS = 30_000;
const MIB = 2 ** 20;

interface SoakResult {
  readonly minutes: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly traffic: Tally;
  readonly rss: Trend;
  readonly heap: Trend;
  /** What was open when every client had gone. */
  readonly left: Pick<Sample, "connections" | "streams" | "watchers">;
  readonly problems: readonly string[];
  readonly samples: readonly Sample[];
}

async function soak(world: World, material: Material, minutes: number): Promise<SoakResult> {
  const gateway = await BenchGateway.start(world);
  const { target } = await runningGateway(world, gateway, material);
  const end = AbortSignal.timeout(minutes * 60_000);
  const problems: string[] = [];
  const stop = new AbortController();
  const signal = AbortSignal.any([end, stop.signal]);
  const fail = (error: unknown) => {
    if (!signal.aborted) problems.push(reasonOf(error));
    stop.abort();
  };
  const tally: Tally = {};
  let requests = 0;
  const load = async () => {
    while (!signal.aborted) {
      const result = await runH2load(target, { connections: 8, inFlight: 16, seconds: PART_SECONDS }, world.cores.load);
      requests += result.done;
    }
  };
  const url = `http://${gateway.address.text}`;
  const aim = { world, url, port: Number(gateway.address.text.split(":").at(-1)), tally, signal };
  const sampling = sampleUntil(gateway, SAMPLE_INTERVAL_MS, signal, (sample) => world.log(lineOf(sample)));
  await Promise.all([load().catch(fail), mixedTraffic(aim).catch(fail)]);
  const samples = await sampling;
  const left = await settled(gateway);
  await gateway.stop();
  const rss = trendOf(samples, ({ rssBytes }) => rssBytes);
  const heap = trendOf(samples, ({ heapBytes }) => heapBytes);
  if (!rss.isFlat) problems.push("the resident memory grew");
  for (const [name, count] of Object.entries(left)) if (count !== 0) problems.push(`${count} ${name} are left`);
  const requestsPerSecond = Math.round(requests / (minutes * 60));
  return { minutes, requests, requestsPerSecond, traffic: tally, rss, heap, left, problems, samples };
}

/** What is open once nothing closes any more, or all is closed. */
async function settled(gateway: BenchGateway): Promise<SoakResult["left"]> {
  const deadlineMs = performance.now() + SETTLE_MS;
  for (;;) {
    const { connections, streams, watchers } = await takeSample(gateway, 0);
    const isEmpty = connections + streams + watchers === 0;
    if (isEmpty || performance.now() > deadlineMs) return { connections, streams, watchers };
    await pause(100);
  }
}

function lineOf({ atSeconds, rssBytes, heapBytes, connections, streams, watchers, validAnswers }: Sample): string {
  const memory = `rss ${(rssBytes / MIB).toFixed(1)} MiB, heap ${(heapBytes / MIB).toFixed(1)} MiB`;
  const open = `${connections} connections, ${streams} streams, ${watchers} watchers`;
  return `${atSeconds.toFixed(0).padStart(5)} s  ${memory}, ${open}, ${validAnswers} valid answers`;
}

function summaryOf({ minutes, requests, requestsPerSecond, traffic, rss, heap, left, problems }: SoakResult): string {
  const trend = (name: string, { medianBytes, bytesPerMinute, growth, isFlat }: Trend) =>
    `${name}: median ${(medianBytes / MIB).toFixed(1)} MiB, ${(bytesPerMinute / MIB).toFixed(2)} MiB/min, ` +
    `${(100 * growth).toFixed(1)} % in the second half: ${isFlat ? "flat" : "growing"}`;
  return [
    `${minutes} min, ${requests} verifications of the load (${requestsPerSecond}/s)`,
    `besides: ${Object.entries(traffic)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ")}`,
    trend("resident memory", rss),
    trend("heap in use", heap),
    `left: ${left.connections} connections, ${left.streams} streams, ${left.watchers} watchers`,
    problems.length === 0 ? "all well" : `not well: ${problems.join("; ")}`,
    "",
  ].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" }, json: { type: "string" } } });
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 1_440)) {
    process.stderr.write("--minutes takes a number up to 1440\n");
    return 2;
  }
  const world = await createWorld();
  try {
    const result = await soak(world, await makeMaterial(world), minutes);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
    process.stdout.write(summaryOf(result));
    return result.problems.length === 0 ? 0 : 1;
  } finally {
    await world.close();
  }
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => process.exit(code));
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${reasonOf(error)}\n`);
  return 1;
});
