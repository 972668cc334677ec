/**
 * A replica that starts with 10,000 revocations in the log: how soon it serves, how much memory they take, and that none of
 * its answers came from a cache before it had read the log to its end.
 *
 *     npx tsx bench/replay.ts [--json]        after npm run build
 */
import { Source, type VerifyTokenResponse } from "../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { MintedToken } from "../test/faults/emulator-process.ts";
import type { GatewayProcess } from "../test/faults/gateway-process.ts";
import { fillLog } from "./fill-log.ts";
import { bench, mebibytes, percentiles } from "./harness.ts";

const REVOCATIONS = 10_000;
const LIVE_TOKENS = 100;
const RESTARTS = 5;
const AFTER_SERVING_MS = 1_000;

interface Restart {
  readonly servingMs: number;
  readonly replayMs: number;
  readonly rssBytes: number;
  readonly held: number;
  readonly answers: readonly VerifyTokenResponse[];
}

/** Starts the replica again and asks it about live tokens, whose verdicts Redis holds, from before it answers. */
async function restart(gateway: GatewayProcess, tokens: readonly MintedToken[]): Promise<Restart> {
  await gateway.kill();
  const answers: VerifyTokenResponse[] = [];
  const asking = new AbortController();
  const asked = ask(gateway, tokens, answers, asking.signal);
  const startedAtMs = performance.now();
  await gateway.start();
  const servingMs = performance.now() - startedAtMs;
  await new Promise((resolve) => setTimeout(resolve, AFTER_SERVING_MS));
  asking.abort();
  await asked;
  const { revocations } = await gateway.status.getStatus({});
  return {
    servingMs,
    replayMs: replayTime(gateway.process.stderr),
    rssBytes: gateway.process.residentBytes(),
    held: Number(revocations?.live),
    answers,
  };
}

async function ask(
  { tokens }: GatewayProcess,
  minted: readonly MintedToken[],
  answers: VerifyTokenResponse[],
  signal: AbortSignal,
): Promise<void> {
  for (let count = 0; !signal.aborted; count += 1) {
    const token = minted[count % minted.length]?.secret ?? "";
    await tokens.verifyToken({ token }, { timeoutMs: 2_000 }).then(
      (answer) => answers.push(answer),
      // Nobody listens yet.
      () => new Promise((resolve) => setTimeout(resolve, 1)),
    );
  }
}

/** From the first line of the log that tells of a connection to Redis to the one that tells that RPCs are served. */
function replayTime(logged: string): number {
  const lines = logged.trim().split("\n").flatMap(parseLine);
  const served = lines.findLast(({ msg }) => msg === "serving")?.time ?? Number.NaN;
  const connected = lines.findLast(({ redis, time }) => redis === "connected" && time <= served)?.time ?? Number.NaN;
  return served - connected;
}

function parseLine(line: string): { readonly msg?: string; readonly redis?: string; readonly time: number }[] {
  try {
    const { msg, redis, time } = JSON.parse(line) as { msg?: string; redis?: string; time: number | string };
    return [{ ...(msg && { msg }), ...(redis && { redis }), time: new Date(time).getTime() }];
  } catch {
    return [];
  }
}

await bench(async ({ emulator, redisPort, startGateway }) => {
  const other = await startGateway("a");
  const gateway = await startGateway("b", { GATEWAY_LOG_LEVEL: "info" });
  const emptyBytes = gateway.process.residentBytes();
  await fillLog(redisPort, REVOCATIONS);
  const tokens: MintedToken[] = [];
  for (let count = 0; count < LIVE_TOKENS; count += 1) tokens.push(await emulator.mint());
  const restarts: Restart[] = [];
  for (let count = 0; count < RESTARTS; count += 1) {
    for (const { secret } of tokens) await other.tokens.verifyToken({ token: secret, maxAge: { seconds: 0n } });
    restarts.push(await restart(gateway, tokens));
  }
  const { freshness } = await other.status.getStatus({});
  const answers = restarts.flatMap((each) => each.answers);
  const cached = answers.filter(({ source }) => source === Source.MEMORY || source === Source.REDIS);
  return {
    revocations_in_log: REVOCATIONS,
    revocations_held: Math.min(...restarts.map(({ held }) => held)),
    restarts: restarts.length,
    ...percentiles(
      "start_to_serving",
      restarts.map(({ servingMs }) => servingMs),
    ),
    ...percentiles(
      "connected_to_replayed_and_serving",
      restarts.map(({ replayMs }) => replayMs),
    ),
    gateway_rss_empty_log_mib: mebibytes(emptyBytes),
    gateway_rss_replayed_mib: mebibytes(Math.max(...restarts.map(({ rssBytes }) => rssBytes))),
    answers: answers.length,
    answers_from_caches: cached.length,
    answers_from_redis: cached.filter(({ source }) => source === Source.REDIS).length,
    answers_from_caches_before_replayed: cached.filter(({ cursor }) => cursor !== freshness?.cursor).length,
  };
});
