import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { GatewayProcess } from "../faults/gateway-process.ts";
import { startRedis } from "../support/redis/start-redis.ts";

/** Real parts for the console: an emulator, a Redis, and gateways as processes. */
export interface ConsoleWorld extends AsyncDisposable {
  readonly emulator: Emulator;
  readonly gateways: readonly GatewayProcess[];
}

export async function startConsoleWorld(names: readonly string[]): Promise<ConsoleWorld> {
  const redis = await startRedis("single");
  const emulator = await startEmulator();
  const gateways: GatewayProcess[] = [];
  const dispose = async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await Promise.all([emulator.close(), redis.stop()]);
  };
  try {
    const { nodes } = redis.target;
    const [server] = "unixSocket" in nodes ? [] : nodes;
    const env = {
      CLERK_API_URL: emulator.url,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_SECRET_KEY: emulator.instanceKey,
      GATEWAY_REDIS_URL: `redis://${server?.host}:${server?.port}`,
      GATEWAY_WATCH_HEARTBEAT_MS: "500",
    };
    for (const name of names) gateways.push(await GatewayProcess.start(name, env));
  } catch (error) {
    await dispose();
    throw error;
  }
  return { emulator, gateways, [Symbol.asyncDispose]: dispose };
}
