import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RedisBinary } from "./redis-binary.ts";
import { freePort, RedisProcess, until } from "./redis-process.ts";
import type { SentinelFixture } from "./redis-server-fixture.ts";

const MASTER = "m2mgw-primary";
const SENTINELS = 3;
const DOWN_AFTER_MS = 500;
const FAILOVER_TIMEOUT_MS = 3_000;

interface Member {
  readonly port: number;
  readonly server: RedisProcess;
}

/** A primary, a replica and three sentinels that notice a death within half a second. */
export async function startSentinel(binary: RedisBinary): Promise<SentinelFixture> {
  const primary = await startMember(binary, {});
  const replica = await startMember(binary, { replicaof: `127.0.0.1 ${primary.port}` });
  await until("the replica is in step", () => isInStep(replica));
  const sentinels: Member[] = [];
  for (let count = 0; count < SENTINELS; count += 1) sentinels.push(await startSentinelProcess(binary, primary.port));
  await until("the sentinels know each other and the replica", async () => {
    const states = await Promise.all(sentinels.map(({ server }) => server.with((client) => client.info("sentinel"))));
    return states.every((state) => state.includes(`slaves=1,sentinels=${SENTINELS}`));
  });
  return fixtureOf(primary, replica, sentinels);
}

function fixtureOf(primary: Member, replica: Member, sentinels: readonly Member[]): SentinelFixture {
  return {
    target: {
      mode: "sentinel",
      nodes: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
      sentinelMaster: MASTER,
    },
    kill: () => primary.server.kill(),
    pause: async () => primary.server.pause(),
    resume: async () => primary.server.resume(),
    restartEmpty: async () => {
      throw new Error("a primary with a replica does not come back empty: fail over instead");
    },
    flushAll: async () => {
      await primary.server.with((client) => client.flushall());
    },
    cutReplication: async () => {
      // Stopped first, so that it cannot connect again; what it had been sent before is on a connection that is gone.
      replica.server.pause();
      await primary.server.with((client) => client.call("CLIENT", "KILL", "TYPE", "replica"));
    },
    failover: async () => {
      await primary.server.kill();
      replica.server.resume();
      await until("the replica is primary", () =>
        replica.server.with(async (client) => (await client.info("replication")).includes("role:master")),
      );
    },
    stop: async () => {
      await Promise.all([primary, replica, ...sentinels].map(({ server }) => server.stop()));
    },
  };
}

async function startMember(binary: RedisBinary, more: Readonly<Record<string, string>>): Promise<Member> {
  const port = await freePort();
  const directives = {
    port: `${port}`,
    bind: "127.0.0.1",
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
    ...more,
  };
  const server = new RedisProcess({ binary, client: { host: "127.0.0.1", port }, directives });
  await server.start();
  return { port, server };
}

async function startSentinelProcess(binary: RedisBinary, primaryPort: number): Promise<Member> {
  const port = await freePort();
  const sentinelConfig = (directory: string) => {
    const file = join(directory, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor ${MASTER} 127.0.0.1 ${primaryPort} 2`,
      `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER} ${FAILOVER_TIMEOUT_MS}`,
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    return file;
  };
  const client = { host: "127.0.0.1", port, enableReadyCheck: false };
  const server = new RedisProcess({ binary, client, directives: {}, sentinelConfig });
  await server.start();
  return { port, server };
}

function isInStep({ server }: Member): Promise<boolean> {
  return server.with(async (client) => (await client.info("replication")).includes("master_link_status:up"));
}
