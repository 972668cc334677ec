import { BenchGateway } from "../kit/bench-gateway.ts";
import { CannotRun } from "../kit/cannot-run.ts";
import { runH2load } from "../load/h2load.ts";
import { runningGateway } from "../peers/gateway.ts";
import type { Section, SectionContext } from "./section.ts";

const MOST = 4;

/** Nothing but the load is pinned: workers spread over the cores. With as many workers as cores the load is in their way. */
export const workers: Section = {
  name: "workers",
  about: "8x16 and --workers 1, 2, … up to the number of cores, workers on any core",
  async run(context) {
    const { options, record, world } = context;
    if (!world.variables.has("GATEWAY_WORKERS")) throw new CannotRun("this build has no workers");
    const most = Math.min(MOST, Math.max(2, world.cores.all.length));
    if (world.cores.all.length < most) record.addGap("workers on cores of their own", "there is one core");
    for (let round = 1; round <= options.rounds; round += 1) {
      for (let count = 1; count <= most; count += 1) {
        world.log(`round ${round} of ${options.rounds}: ${count} workers`);
        record.titles.set(`workers_${count}`, count === 1 ? "1 worker" : `${count} workers`);
        record.addRound("workers", `workers_${count}`, await measure(context, count));
      }
    }
  },
};

async function measure({ world, material, options }: SectionContext, count: number) {
  const gateway = await BenchGateway.start(world, { env: { GATEWAY_WORKERS: `${count}` }, cores: world.cores.all });
  try {
    const { target } = await runningGateway(world, gateway, material);
    // Enough connections that each worker has some.
    const pressure = { connections: 16, inFlight: 16 };
    await runH2load(target, { ...pressure, seconds: options.warmUpSeconds }, world.cores.load);
    const before = gateway.child.usage();
    const startedAtMs = performance.now();
    const result = await runH2load(target, { ...pressure, seconds: options.seconds }, world.cores.load);
    const after = gateway.child.usage();
    const cpuMs = after.cpuMs - before.cpuMs;
    return {
      requestsPerSecond: result.requestsPerSecond,
      cpuMicros: (cpuMs * 1000) / result.started,
      serverBusy: cpuMs / (performance.now() - startedAtMs),
      rssMib: after.rssBytes / 2 ** 20,
    };
  } finally {
    await gateway.stop();
  }
}
