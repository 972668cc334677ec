import { MemoryRevocationLog } from "../../src/memory/memory-revocation-log.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { createReplicas } from "../support/redis/replicas.ts";
import { startRedis } from "../support/redis/start-redis.ts";
import { type RelayedHost, relayedHost } from "../support/workers/relayed-host.ts";
import { describeRevocationLog } from "./revocation-log.contract.ts";

let redis: RedisFixture;
const replicas = createReplicas(() => redis);
let hosts: RelayedHost[] = [];
const addHost = (host: RelayedHost) => {
  hosts.push(host);
  return host;
};
const closeHosts = async () => {
  for (const host of hosts.splice(0)) await host.close();
};
const reset = async () => {
  await closeHosts();
  await replicas.closeAll();
  await redis.flushAll();
};
const stop = () => redis.stop();

describeRevocationLog(
  "memory, as the workers of one host see it",
  async () => {
    hosts = [];
    return {
      open: async (replica) => {
        const [host = addHost(relayedHost(new MemoryRevocationLog(Date.now)))] = hosts;
        return host.worker(replica);
      },
      reset: closeHosts,
      stop: async () => {},
    };
  },
  { shared: true },
);

describeRevocationLog(
  "Redis, as the workers of one host see it",
  async () => {
    redis = await startRedis("single");
    return {
      open: async (replica) => {
        const [host = addHost(relayedHost(replicas.connect({ replica: "host" }).log))] = hosts;
        return host.worker(replica);
      },
      reset,
      stop,
    };
  },
  { shared: true, lose: () => redis.flushAll() },
);

describeRevocationLog(
  "Redis, as workers of different hosts see it",
  async () => {
    redis = await startRedis("single");
    return {
      open: async (replica) => addHost(relayedHost(replicas.connect({ replica }).log)).worker(replica),
      reset,
      stop,
    };
  },
  { shared: true, lose: () => redis.flushAll() },
);
