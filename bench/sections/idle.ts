import { setTimeout as pause } from "node:timers/promises";
import { BenchGateway } from "../kit/bench-gateway.ts";
import { rounded } from "../kit/statistics.ts";
import { runningGateway } from "../peers/gateway.ts";
import type { RunningPeer } from "../peers/peer.ts";
import type { Section, SectionContext } from "./section.ts";
import { measureThroughput } from "./shapes.ts";

/** After a minute of idling V8 shrinks its heap, which has cost servers half of their speed for a while. */
const IDLE_MS = 75_000;
const PRESSURE = { connections: 8, inFlight: 16 };
/** The verdict must outlive the idling: what is measured is an answer from memory. */
const ENV = { GATEWAY_VERDICT_TTL_MS: "3600000", GATEWAY_REVOCATION_RETENTION_MS: "7200000" };

/** Options of Node.js that may matter, by what the figures call them. */
const VARIANTS: readonly (readonly [string, readonly string[]])[] = [
  ["as_shipped", []],
  ["no_memory_reducer", ["--no-memory-reducer"]],
  ["single_threaded_gc", ["--single-threaded-gc"]],
];

export const idle: Section = {
  name: "idle",
  about: `8x16 before and right after ${IDLE_MS / 1000} s without a request, and what idling costs, by options of Node.js`,
  async run(context) {
    const started: { readonly name: string; readonly running: RunningPeer }[] = [];
    try {
      for (const [name, nodeArgs] of VARIANTS) {
        const gateway = await BenchGateway.start(context.world, { nodeArgs, env: ENV });
        started.push({ name, running: await runningGateway(context.world, gateway, context.material) });
      }
      await measure(context, started);
    } finally {
      for (const { running } of started) await running.stop();
    }
  },
};

async function measure(context: SectionContext, started: readonly { name: string; running: RunningPeer }[]) {
  const { options, record, world } = context;
  const pressure = { ...PRESSURE, seconds: options.seconds };
  for (const { name, running } of started) {
    await measureThroughput(context, { ...PRESSURE, seconds: options.warmUpSeconds }, running);
    const before = await measureThroughput(context, pressure, running);
    record.setFigures("idle", {
      [`${name}_before_req_per_second`]: rounded(before.requestsPerSecond),
      [`${name}_before_cpu_micros`]: rounded(before.cpuMicros, 3),
    });
  }
  const cpuMs = started.map(({ running }) => running.usage().cpuMs);
  world.log(`idle for ${IDLE_MS / 1000} s`);
  await pause(IDLE_MS);
  const idleMs = started.map(({ running }, at) => running.usage().cpuMs - (cpuMs[at] ?? 0));
  for (const [at, { name, running }] of started.entries()) {
    const after = await measureThroughput(context, pressure, running);
    record.setFigures("idle", {
      [`${name}_after_req_per_second`]: rounded(after.requestsPerSecond),
      [`${name}_after_cpu_micros`]: rounded(after.cpuMicros, 3),
      [`${name}_idle_cpu_ms_per_second`]: rounded(((idleMs[at] ?? 0) * 1000) / IDLE_MS, 3),
    });
  }
}
