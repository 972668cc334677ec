import { setTimeout as pause } from "node:timers/promises";
import { rounded } from "../kit/statistics.ts";
import { gateway } from "../peers/gateway.ts";
import type { Section } from "./section.ts";
import { measureThroughput } from "./shapes.ts";

/** After a minute of idling V8 shrinks its heap, which has cost servers half of their speed for a while. */
const IDLE_MS = 75_000;
const PRESSURE = { connections: 8, inFlight: 16 };

export const idle: Section = {
  name: "idle",
  about: `8x16 before and right after ${IDLE_MS / 1000} s without a request, and what idling costs`,
  async run(context) {
    const { world, material, options, record } = context;
    const running = await gateway.start(world, material, "tcp");
    try {
      await measureThroughput(context, { ...PRESSURE, seconds: options.warmUpSeconds }, running);
      const before = await measureThroughput(context, { ...PRESSURE, seconds: options.seconds }, running);
      const { cpuMs } = running.usage();
      await pause(IDLE_MS);
      const idleCpuMs = running.usage().cpuMs - cpuMs;
      const after = await measureThroughput(context, { ...PRESSURE, seconds: options.seconds }, running);
      record.setFigures("idle", {
        before_req_per_second: rounded(before.requestsPerSecond),
        before_cpu_micros: rounded(before.cpuMicros, 3),
        after_req_per_second: rounded(after.requestsPerSecond),
        after_cpu_micros: rounded(after.cpuMicros, 3),
        ratio_after_to_before: rounded(after.requestsPerSecond / before.requestsPerSecond, 3),
        idle_cpu_ms_per_second: rounded((idleCpuMs * 1000) / IDLE_MS, 3),
      });
    } finally {
      await running.stop();
    }
  },
};
