import { connectReplica, type RedisReplica } from "./redis-replica.ts";
import type { RedisFixture } from "./redis-server-fixture.ts";

/** Opens replicas for one test and closes them after it. */
export function createReplicas(fixture: () => RedisFixture) {
  let open: RedisReplica[] = [];
  return {
    connect(...[overrides]: [Parameters<typeof connectReplica>[1]?]): RedisReplica {
      const replica = connectReplica(fixture().target, overrides);
      open.push(replica);
      return replica;
    },
    async closeAll(): Promise<void> {
      const closing = open;
      open = [];
      await Promise.all(closing.map((replica) => replica.close()));
    },
  };
}
