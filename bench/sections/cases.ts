import { fillLog } from "../fill-log.ts";
import { BenchGateway, type GatewayOptions } from "../kit/bench-gateway.ts";
import { CannotRun, reasonOf } from "../kit/cannot-run.ts";
import type { Child } from "../kit/child.ts";
import { makeJwtQuestion, type Question } from "../kit/material.ts";
import { KNOWN_TOKENS, MACHINE_ID } from "../kit/tokens.ts";
import { runTokenLoad, type TokenPressure, verifyAll } from "../load/token-load.ts";
import { runningGateway } from "../peers/gateway.ts";
import type { Section, SectionContext } from "./section.ts";
import { measureThroughput } from "./shapes.ts";

const PRESSURE = { connections: 8, inFlight: 16 };
const FACTS = 10_000;
/** Far fewer than the tokens that are asked about in turn: a token is pushed out long before its turn comes again. */
const SMALL_CACHE = 1;
const LONG_TTL_MS = "3600000";

interface Case {
  readonly name: string;
  readonly title: string;
  readonly options: (fleet: string) => GatewayOptions;
  /** What must have decided, as the metrics name it. */
  readonly source: string;
  /** Facts that are in the log before the gateway starts. */
  readonly facts?: number;
  /** What is asked, where it is not the plain question. */
  readonly asks?: "policy" | "jwt";
  /** Different tokens, which h2load cannot ask about. */
  readonly tokens?: number;
}

const CASES: readonly Case[] = [
  { name: "gateway", title: "from memory (L1)", options: () => ({}), source: "memory" },
  {
    name: "jwt",
    title: "a JWT, its signature from memory",
    options: () => ({ env: { CLERK_MACHINE_ID: MACHINE_ID } }),
    source: "local",
    asks: "jwt",
  },
  { name: "policy", title: "from memory, with a policy", options: () => ({}), source: "memory", asks: "policy" },
  { name: "facts", title: `from memory, ${FACTS} live facts`, options: () => ({}), source: "memory", facts: FACTS },
  {
    name: "many_tokens",
    title: `from memory, ${KNOWN_TOKENS} tokens, own load generator`,
    options: () => ({ env: longTtl() }),
    source: "memory",
    tokens: KNOWN_TOKENS,
  },
  {
    name: "redis",
    title: `from Redis (L2), ${KNOWN_TOKENS} tokens, own load generator`,
    options: () => ({ env: { ...longTtl(), GATEWAY_CACHE_MAX_ENTRIES: `${SMALL_CACHE}` } }),
    source: "redis",
    tokens: KNOWN_TOKENS,
  },
  {
    name: "upstream",
    title: `from the emulator (miss), ${KNOWN_TOKENS} tokens, own load generator`,
    options: () => ({ env: { GATEWAY_VERDICT_TTL_MS: "0", CLERK_MAX_CONCURRENCY: "256" } }),
    source: "upstream",
    tokens: KNOWN_TOKENS,
  },
];

export const cases: Section = {
  name: "cases",
  about: "what decides, 8x16: memory, a JWT, policy, facts, Redis, the upstream",
  async run(context) {
    const { options, record, world } = context;
    for (const { name, title } of CASES) record.titles.set(name, record.titles.get(name) ?? title);
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const each of CASES) {
        world.log(`round ${round} of ${options.rounds}: ${each.title}`);
        try {
          await measureCase(context, each, `cases-${process.pid}-${each.name}-${round}`);
        } catch (error) {
          if (error instanceof CannotRun) record.addGap(each.title, reasonOf(error));
          else record.addFailure(each.title, reasonOf(error));
        }
      }
    }
  },
};

function longTtl(): Readonly<Record<string, string>> {
  return { GATEWAY_VERDICT_TTL_MS: LONG_TTL_MS, GATEWAY_REVOCATION_RETENTION_MS: "7200000" };
}

async function measureCase(context: SectionContext, each: Case, fleet: string): Promise<void> {
  const { world, options, record } = context;
  if (each.facts !== undefined) await fillLog(world.redisPort, each.facts, fleet);
  const gateway = await BenchGateway.start(world, { ...each.options(fleet), fleet });
  try {
    if (each.tokens === undefined) {
      const running = await runningGateway(world, gateway, await questionOf(context, each, gateway));
      await measureThroughput(context, { ...PRESSURE, seconds: options.warmUpSeconds }, running);
      const before = await gateway.validAnswers(each.source);
      const measured = await measureThroughput(context, { ...PRESSURE, seconds: options.seconds }, running);
      assertSource(
        each,
        (await gateway.validAnswers(each.source)) - before,
        measured.requestsPerSecond * options.seconds,
      );
      record.addRound("cases", each.name, measured);
    } else {
      if (each.source !== "upstream") await verifyAll(gateway.address, each.tokens);
      const pressure = { ...PRESSURE, tokens: each.tokens, order: "in turn" } as const;
      await measureTokens(gateway, { ...pressure, seconds: options.warmUpSeconds }, each.source);
      record.addRound(
        "cases",
        each.name,
        await measureTokens(gateway, { ...pressure, seconds: options.seconds }, each.source),
      );
    }
  } finally {
    await gateway.stop();
  }
}

async function questionOf(
  { world, material }: SectionContext,
  { asks }: Case,
  gateway: BenchGateway,
): Promise<Question> {
  if (asks === "jwt") return await makeJwtQuestion(world, gateway);
  return asks === "policy" ? material.policy : material;
}

/** What a gateway does when it is asked about different tokens. */
export async function measureTokens(gateway: BenchGateway, pressure: TokenPressure, source: string) {
  const counted = await gateway.validAnswers(source);
  const { cpuMs } = gateway.child.usage();
  const startedAtMs = performance.now();
  const result = await runTokenLoad(gateway.address, pressure);
  const elapsedMs = performance.now() - startedAtMs;
  const usedMs = usageSince(gateway.child, cpuMs);
  assertSource({ title: `answers from ${source}` }, (await gateway.validAnswers(source)) - counted, result.done);
  return {
    requestsPerSecond: result.requestsPerSecond,
    cpuMicros: (usedMs * 1000) / result.started,
    serverBusy: usedMs / elapsedMs,
    rssMib: gateway.child.usage().rssBytes / 2 ** 20,
  };
}

/** Renewals and the like may decide a few differently. @throws Error when it is more than a hundredth */
function assertSource({ title }: { readonly title: string }, fromSource: number, all: number): void {
  if (fromSource < 0.99 * all) throw new Error(`${title}: only ${fromSource} of ${Math.round(all)} were`);
}

function usageSince(child: Child, cpuMs: number): number {
  return child.usage().cpuMs - cpuMs;
}
