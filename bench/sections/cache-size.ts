import { setTimeout as pause } from "node:timers/promises";
import { BenchGateway } from "../kit/bench-gateway.ts";
import type { Figures } from "../kit/record.ts";
import { rounded, summarize } from "../kit/statistics.ts";
import { runTokenLoad, verifyAll } from "../load/token-load.ts";
import { measureTokens } from "./cases.ts";
import type { Section, SectionContext } from "./section.ts";

const SIZES = [1_000, 100_000, 1_000_000];
/** The largest with --quick. */
const QUICK_SIZE = 100_000;
/** The most that may be set. */
const CACHE_BYTES = 8_589_934_592;
const SETTLE_MS = 2_000;
const PRESSURE = { connections: 8, inFlight: 16 } as const;
/** Longer than it takes to ask for each token twice. */
const LONG_S = 600;

/**
 * The gateway's own program with everything on but Redis and the upstream: the one would need as much memory again, the
 * other is replaced by one that knows every token at once, as a million verifications over HTTP would take many minutes.
 * What is measured never reaches either.
 */
export const cacheSize: Section = {
  name: "cache-size",
  about: "answers from memory at random among 10^3 to 10^6 cached tokens, 8x16, own load generator",
  async run(context) {
    const { record, options, world } = context;
    const sizes = SIZES.filter((size) => !options.quick || size <= QUICK_SIZE);
    record.addGap("cache-size 1e7", "the largest cache that can be set, of 8 GiB, holds fewer");
    // All sizes are filled before the first is measured, so that rounds can be interleaved.
    const filled = await fillAll(context, sizes);
    try {
      const rounds = new Map<number, number[]>(sizes.map((size) => [size, []]));
      for (let round = 1; round <= options.rounds; round += 1) {
        for (const { size, gateway } of filled) {
          world.log(`round ${round} of ${options.rounds}: ${size} tokens`);
          const pressure = { ...PRESSURE, tokens: size, order: "random" } as const;
          await measureTokens(gateway, { ...pressure, seconds: options.warmUpSeconds }, "memory");
          const measured = await measureTokens(gateway, { ...pressure, seconds: options.seconds }, "memory");
          rounds.get(size)?.push(measured.requestsPerSecond);
          record.addRound("cache-size", `tokens_${exponent(size)}`, measured);
        }
      }
      record.setFigures("cache-size", ratios(rounds));
    } finally {
      for (const { gateway } of filled) await gateway.stop();
    }
  },
};

async function fillAll(context: SectionContext, sizes: readonly number[]) {
  const filled: { size: number; gateway: BenchGateway }[] = [];
  for (const size of sizes) {
    context.record.titles.set(`tokens_${exponent(size)}`, `${exponent(size).replace("1e", "10^")} tokens`);
    filled.push({ size, gateway: await fill(context, size) });
  }
  return filled;
}

async function fill({ world, record }: SectionContext, size: number): Promise<BenchGateway> {
  const gateway = await BenchGateway.start(world, {
    nodeArgs: ["--max-old-space-size=4096", "--import", world.program("instant-upstream")],
    withRedis: false,
    env: {
      GATEWAY_CACHE_MAX_ENTRIES: `${size}`,
      GATEWAY_CACHE_MAX_BYTES: `${CACHE_BYTES}`,
      GATEWAY_VERDICT_TTL_MS: "3600000",
      GATEWAY_REVOCATION_RETENTION_MS: "7200000",
    },
  });
  try {
    world.log(`filling the cache with ${size} tokens`);
    const emptyBytes = gateway.child.usage().rssBytes;
    const startedAtMs = performance.now();
    await verifyAll(gateway.address, size);
    const seconds = (performance.now() - startedAtMs) / 1000;
    // Each token's answer is made when it is first asked for, and stands from the second time on: what is measured is what
    // all later ones cost.
    const calls = 2 * size;
    await runTokenLoad(gateway.address, { ...PRESSURE, tokens: size, order: "in turn", calls, seconds: LONG_S });
    await pause(SETTLE_MS);
    const heldBytes = gateway.child.usage().rssBytes - emptyBytes;
    const known = await gateway.cachedTokens();
    if (known !== size) throw new Error(`the cache holds ${known} of ${size} tokens`);
    const name = exponent(size);
    record.setFigures("cache-size", {
      [`rss_${name}_mib`]: rounded((emptyBytes + heldBytes) / 2 ** 20),
      // Of a small cache it would say how large an empty process grows.
      ...(size < 100_000 ? {} : { [`bytes_per_token_${name}`]: rounded(heldBytes / size, 3) }),
      [`filled_${name}_s`]: rounded(seconds, 3),
    });
    return gateway;
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

function ratios(rounds: ReadonlyMap<number, readonly number[]>): Figures {
  const [first = 0] = SIZES;
  const smallest = summarize(rounds.get(first) ?? []).median;
  return Object.fromEntries(
    [...rounds]
      .filter(([size]) => size !== first)
      .map(([size, values]) => [`ratio_${exponent(size)}_to_1e3`, rounded(summarize(values).median / smallest, 3)]),
  );
}

/** `1e6` for a million. */
function exponent(size: number): string {
  return `1e${Math.round(Math.log10(size))}`;
}
