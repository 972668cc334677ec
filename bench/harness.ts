import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { EmulatorProcess } from "../test/faults/emulator-process.ts";
import { GatewayProcess } from "../test/faults/gateway-process.ts";
import { findBinary, unpackBinary } from "../test/support/redis/redis-binary.ts";
import { freePort, RedisProcess } from "../test/support/redis/redis-process.ts";

export interface Bed {
  readonly emulator: EmulatorProcess;
  readonly redis: RedisProcess;
  readonly redisPort: number;
  /** Starts a gateway on them, with variables over the usual. */
  startGateway(name: string, env?: Readonly<Record<string, string>>): Promise<GatewayProcess>;
}

/** What is measured: names and values, in the order in which they are printed. */
export type Figures = Readonly<Record<string, number | string>>;

/** Runs `measure` on an emulator and a Redis of its own, all on loopback, and prints what it gives. */
export async function bench(measure: (bed: Bed) => Promise<Figures>): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const cleanUps: (() => Promise<void>)[] = [];
  const onSignal = () => process.exit(130);
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const figures = await measure(await makeBed(cleanUps));
    const machine = machineLine();
    if (values.json) console.log(JSON.stringify({ ...figures, machine }));
    else {
      for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(40)} ${value}`);
      console.log(`machine: ${machine}`);
    }
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** p50, p99 and the worst of `millis`, under names that begin with `what`. */
export function percentiles(what: string, millis: readonly number[]): Figures {
  const sorted = [...millis].sort((a, b) => a - b);
  const at = (share: number) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { [`${what}_p50_ms`]: at(0.5), [`${what}_p99_ms`]: at(0.99), [`${what}_max_ms`]: at(1) };
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

export function mebibytes(bytes: number): number {
  return round(bytes / 2 ** 20);
}

async function makeBed(cleanUps: (() => Promise<void>)[]): Promise<Bed> {
  const emulator = await EmulatorProcess.start();
  cleanUps.push(() => emulator.stop());
  const redisPort = await freePort();
  const redis = new RedisProcess({
    binary: (await findBinary()) ?? (await unpackBinary()),
    client: { host: "127.0.0.1", port: redisPort },
    directives: { port: `${redisPort}`, bind: "127.0.0.1" },
  });
  cleanUps.push(() => redis.stop());
  await redis.start();
  const startGateway: Bed["startGateway"] = async (name, env = {}) => {
    const gateway = await GatewayProcess.start(name, {
      ...emulator.environment,
      GATEWAY_REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      CLERK_MAX_REQUESTS_PER_SECOND: "100000",
      ...env,
    });
    cleanUps.push(() => gateway.stop());
    return gateway;
  };
  return { emulator, redis, redisPort, startGateway };
}

function machineLine(): string {
  const cores = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  const load = readLoad();
  return `${cores.length} x ${cores[0]?.model ?? "unknown"}, ${gib} GiB, ${process.platform} ${process.arch}, Node ${process.version}${load}`;
}

/** Others at work on the machine show in every figure. */
function readLoad(): string {
  if (process.platform !== "linux") return "";
  return `, load ${readFileSync("/proc/loadavg", "utf8").split(" ")[0]}`;
}
