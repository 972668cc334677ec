import { PartitionedLog } from "./partitioned-log.ts";
import { type Replica, SharedUpstream, startReplica } from "./redis-domain.ts";
import { connectReplica, type RedisReplica } from "./redis-replica.ts";
import type { RedisFixture } from "./redis-server-fixture.ts";

export interface FleetMember extends Replica {
  readonly log: PartitionedLog;
  readonly redis: RedisReplica;
}

/** Replicas that share a Redis and an upstream. */
export class Fleet {
  readonly upstream = new SharedUpstream();
  readonly #fixture: RedisFixture;
  readonly #members: FleetMember[] = [];

  constructor(fixture: RedisFixture) {
    this.#fixture = fixture;
  }

  async add(name: string): Promise<FleetMember> {
    const redis = connectReplica(this.#fixture.target, { replica: name, verdictBudgetMs: 200 });
    const log = new PartitionedLog(redis.log);
    const replica = await startReplica(name, { ...redis, log }, this.upstream);
    const member = { ...replica, log, redis };
    this.#members.push(member);
    return member;
  }

  async close(): Promise<void> {
    for (const member of this.#members.splice(0)) {
      await member.close();
      await member.redis.close();
    }
  }
}
