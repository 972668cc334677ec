import type { RedisBinary } from "./redis-binary.ts";
import { freePort, RedisProcess, until } from "./redis-process.ts";
import type { RedisFixture } from "./redis-server-fixture.ts";

const NODES = 3;
const SLOTS = 16_384;

interface Member {
  readonly port: number;
  readonly server: RedisProcess;
}

/** A cluster of three primaries without replicas. What is done to it is done to all of them. */
export async function startCluster(binary: RedisBinary): Promise<RedisFixture> {
  const members: Member[] = [];
  for (let index = 0; index < NODES; index += 1) members.push(await startMember(binary));
  await assignSlots(members);
  const onAll = async (act: (server: RedisProcess) => unknown) => {
    await Promise.all(members.map(({ server }) => act(server)));
  };
  return {
    target: { mode: "cluster", nodes: members.map(({ port }) => ({ host: "127.0.0.1", port })) },
    kill: () => onAll((server) => server.kill()),
    pause: () => onAll((server) => server.pause()),
    resume: () => onAll((server) => server.resume()),
    restartEmpty: async () => {
      // Which node has which slots is kept in the directory of each; what is in them is not.
      await onAll((server) => server.kill());
      await onAll((server) => server.start());
      await untilWhole(members);
    },
    flushAll: () => onAll((server) => server.with((client) => client.flushall())),
    stop: () => onAll((server) => server.stop()),
  };
}

async function startMember(binary: RedisBinary): Promise<Member> {
  const port = await freePort();
  const directives = {
    port: `${port}`,
    bind: "127.0.0.1",
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    "cluster-node-timeout": "2000",
  };
  const server = new RedisProcess({ binary, client: { host: "127.0.0.1", port }, directives });
  await server.start();
  return { port, server };
}

async function assignSlots(members: readonly Member[]): Promise<void> {
  const share = Math.ceil(SLOTS / members.length);
  for (const [index, { server }] of members.entries()) {
    const slots = Array.from({ length: Math.min(share, SLOTS - index * share) }, (_, slot) => index * share + slot);
    await server.with(async (client) => {
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
      await client.call("CLUSTER", "ADDSLOTS", ...slots);
      for (const other of members.slice(0, index)) await client.call("CLUSTER", "MEET", "127.0.0.1", other.port);
    });
  }
  await untilWhole(members);
}

async function untilWhole(members: readonly Member[]): Promise<void> {
  await until("the cluster is whole", async () => {
    const states = await Promise.all(members.map(({ server }) => server.with((client) => client.cluster("INFO"))));
    return states.every(
      (state) => state.includes("cluster_state:ok") && state.includes(`cluster_known_nodes:${members.length}`),
    );
  });
}
