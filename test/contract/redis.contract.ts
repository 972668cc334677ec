import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { createReplicas } from "../support/redis/replicas.ts";
import { startRedis } from "../support/redis/start-redis.ts";
import { describeRevocationLog } from "./revocation-log.contract.ts";
import { describeVerdictStore } from "./verdict-store.contract.ts";

/** Both ports on a Redis of its own, in the given topology. */
export function describeRedis(topology: Parameters<typeof startRedis>[0]): void {
  let redis: RedisFixture;
  const replicas = createReplicas(() => redis);
  const start = async () => {
    redis = await startRedis(topology);
  };
  const reset = async () => {
    await replicas.closeAll();
    await redis.flushAll();
  };
  const stop = () => redis.stop();

  describeRevocationLog(
    `Redis (${topology})`,
    async () => {
      await start();
      return { open: async (replica) => replicas.connect({ replica }).log, reset, stop };
    },
    { shared: true, lose: () => redis.flushAll() },
  );

  describeVerdictStore(`Redis (${topology})`, async () => {
    await start();
    return {
      open: async ({ scope = "credential", ttlMs = 30_000 } = {}) =>
        replicas.connect({ scope, verdictTtlMs: ttlMs, verdictBudgetMs: 200 }).store,
      reset,
      stop,
    };
  });
}
