import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { createReplicas } from "../support/redis/replicas.ts";
import { startRedis } from "../support/redis/start-redis.ts";
import { describeRevocationLog } from "./revocation-log.contract.ts";
import { describeVerdictStore } from "./verdict-store.contract.ts";

let redis: RedisFixture;
const replicas = createReplicas(() => redis);
const reset = async () => {
  await replicas.closeAll();
  await redis.flushAll();
};
const start = async () => {
  redis = await startRedis("cluster");
};
const stop = () => redis.stop();

describeRevocationLog(
  "Redis (cluster)",
  async () => {
    await start();
    return { open: async (replica) => replicas.connect({ replica }).log, reset, stop };
  },
  { shared: true, lose: () => redis.flushAll() },
);

describeVerdictStore("Redis (cluster)", async () => {
  await start();
  return {
    open: async ({ scope = "credential", ttlMs = 30_000 } = {}) =>
      replicas.connect({ scope, verdictTtlMs: ttlMs, verdictBudgetMs: 200 }).store,
    reset,
    stop,
  };
});
