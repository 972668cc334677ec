import { fleetOfOne, MemoryRevocationLog } from "../../src/memory/memory-revocation-log.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { createReplicas } from "../support/redis/replicas.ts";
import { startRedis } from "../support/redis/start-redis.ts";
import { describeFleet } from "./fleet.contract.ts";

describeFleet(
  "memory",
  async () => ({
    async open(replica) {
      const log = new MemoryRevocationLog(Date.now);
      return { log, fleet: fleetOfOne(replica, log) };
    },
    reset: async () => {},
    stop: async () => {},
  }),
  false,
);

describeFleet(
  "Redis",
  async () => {
    const redis: RedisFixture = await startRedis("single");
    const replicas = createReplicas(() => redis);
    return {
      open: async (replica) => replicas.connect({ replica, commandTimeoutMs: 20_000 }),
      async reset() {
        await replicas.closeAll();
        await redis.flushAll();
      },
      stop: () => redis.stop(),
    };
  },
  true,
);
