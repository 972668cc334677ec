import { BenchGateway } from "../kit/bench-gateway.ts";
import { rounded } from "../kit/statistics.ts";
import { KNOWN_TOKENS } from "../kit/tokens.ts";
import { type Asker, connectAsker, grpcAsker, type Pace, type PacedResult, runPaced } from "../load/paced-load.ts";
import { verifyAll } from "../load/token-load.ts";
import type { Section, SectionContext } from "./section.ts";

/** The first of them that the gateway keeps up with is the one whose cost is told. */
const RATES_PER_SECOND = [1_000, 250];
const CONNECTIONS = 16;
/** Until what runs often has been compiled, and memory does not grow by it any more. */
const WARM_UP_SECONDS = 5;
/** Of the answers that were due, so many must have come. */
const KEPT_UP = 0.98;
/** Of the answers, so many must be of the source that is measured: Redis is not waited for long. */
const BY_SOURCE = 0.95;
const LONG_TTL = { GATEWAY_VERDICT_TTL_MS: "3600000", GATEWAY_REVOCATION_RETENTION_MS: "7200000" };

/** What decides, and the environment in which nothing else does. */
const SOURCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: LONG_TTL,
  redis: { ...LONG_TTL, GATEWAY_CACHE_MAX_ENTRIES: "64" },
  upstream: { GATEWAY_VERDICT_TTL_MS: "0", CLERK_MAX_CONCURRENCY: "256" },
};
const PROTOCOLS = { grpc: grpcAsker, connect: connectAsker };

export const sizing: Section = {
  name: "sizing",
  about: `CPU and memory of the gateway at a constant ${RATES_PER_SECOND[0]} verifications per second, by what decides and by protocol`,
  async run(context) {
    await measureIdle(context);
    for (const protocol of ["grpc", "connect"] as const) {
      for (const source of Object.keys(SOURCES)) await measureSource(context, protocol, source);
    }
  },
};

async function measureIdle({ world, record, options }: SectionContext): Promise<void> {
  const gateway = await BenchGateway.start(world);
  try {
    const nobody: Asker = { ask: () => undefined, close: () => undefined };
    await runPaced(nobody, { ratePerSecond: 0, seconds: WARM_UP_SECONDS, tokens: 1 });
    const { millicores, rssMib } = await costOf(gateway, nobody, {
      ratePerSecond: 0,
      seconds: options.seconds,
      tokens: 1,
    });
    record.setFigures("sizing", { idle_cpu_millicores: millicores, idle_rss_mib: rssMib });
  } finally {
    await gateway.stop();
  }
}

async function measureSource(context: SectionContext, protocol: keyof typeof PROTOCOLS, source: string): Promise<void> {
  const { world, record } = context;
  const name = `${protocol}_${source}`;
  for (const ratePerSecond of RATES_PER_SECOND) {
    world.log(`${name} at ${ratePerSecond} per second`);
    const { millicores, rssMib, ...answers } = await measureRate(context, protocol, source, ratePerSecond);
    const keptUp = answers.wrong === 0 && answers.done >= KEPT_UP * answers.started;
    if (!keptUp) {
      const what = `${answers.done} of ${answers.started} were answered in time, ${answers.wrong} otherwise than VALID`;
      record.addGap(`sizing: ${name} at ${ratePerSecond} per second`, `${what}, at ${millicores} millicores`);
      continue;
    }
    record.setFigures("sizing", {
      [`${name}_per_second`]: ratePerSecond,
      [`${name}_cpu_millicores`]: millicores,
      [`${name}_rss_mib`]: rssMib,
    });
    return;
  }
}

async function measureRate(
  { world, options }: SectionContext,
  protocol: keyof typeof PROTOCOLS,
  source: string,
  ratePerSecond: number,
) {
  const gateway = await BenchGateway.start(world, { env: SOURCES[source] ?? {} });
  const asker = await PROTOCOLS[protocol](gateway.address, CONNECTIONS, world.caller.authorization);
  try {
    if (source !== "upstream") await verifyAll(gateway.address, KNOWN_TOKENS);
    const pace = { ratePerSecond, tokens: KNOWN_TOKENS };
    await runPaced(asker, { ...pace, seconds: WARM_UP_SECONDS });
    const before = [await gateway.validAnswers(source), await gateway.validAnswers()] as const;
    const cost = await costOf(gateway, asker, { ...pace, seconds: options.seconds });
    const bySource = (await gateway.validAnswers(source)) - before[0];
    const all = (await gateway.validAnswers()) - before[1];
    if (bySource < BY_SOURCE * all) throw new Error(`only ${bySource} of ${all} were answered from ${source}`);
    return cost;
  } finally {
    asker.close();
    await gateway.stop();
  }
}

async function costOf(
  { child }: BenchGateway,
  asker: Asker,
  pace: Pace,
): Promise<PacedResult & { readonly millicores: number; readonly rssMib: number }> {
  const { cpuMs } = child.usage();
  const startedAtMs = performance.now();
  const result = await runPaced(asker, pace);
  const elapsedMs = performance.now() - startedAtMs;
  const usage = child.usage();
  return {
    ...result,
    millicores: rounded(((usage.cpuMs - cpuMs) * 1000) / elapsedMs),
    rssMib: rounded(usage.rssBytes / 2 ** 20),
  };
}
