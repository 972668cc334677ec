import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findBinary, type RedisBinary, unpackBinary } from "../support/redis/redis-binary.ts";
import { freePort, RedisProcess, until } from "../support/redis/redis-process.ts";
import { TcpProxy } from "./tcp-proxy.ts";

interface Member {
  readonly port: number;
  readonly server: RedisProcess;
}

/**
 * A primary that keeps its data on disk and a replica that follows it. Whoever connects to `port` reaches the primary;
 * connections made earlier stay with the process that they were made to.
 */
export class RedisPair {
  readonly #binary: RedisBinary;
  readonly #replication: TcpProxy;
  #primary: Member;
  #replica: Member;

  private constructor(binary: RedisBinary, primary: Member, replica: Member, replication: TcpProxy) {
    this.#binary = binary;
    this.#primary = primary;
    this.#replica = replica;
    this.#replication = replication;
  }

  static async start(): Promise<RedisPair> {
    const binary = (await findBinary()) ?? (await unpackBinary());
    const primary = await startMember(binary);
    let pair: RedisPair | undefined;
    const replication = await TcpProxy.start(() => pair?.port ?? primary.port);
    pair = new RedisPair(binary, primary, await startMember(binary), replication);
    await pair.#follow();
    return pair;
  }

  get port(): number {
    return this.#primary.port;
  }

  kill(): Promise<void> {
    return this.#primary.server.kill();
  }

  /** What was in the file is there again. */
  async startAgain(): Promise<void> {
    await this.#primary.server.start();
  }

  async startEmpty(): Promise<void> {
    await rm(join(this.#primary.server.directory, "appendonlydir"), { recursive: true, force: true });
    await this.#primary.server.start();
  }

  pause(): void {
    this.#primary.server.pause();
  }

  resume(): void {
    this.#primary.server.resume();
  }

  async flushAll(): Promise<void> {
    await this.#primary.server.with((client) => client.flushall());
  }

  /** From now on the replica is not told what the primary is told. */
  async cutReplication(): Promise<void> {
    await until("the replica is in step", () => isInStep(this.#replica));
    this.#replication.cut("hold");
  }

  /** The primary dies, and what it did not tell the replica dies with it. A new replica takes the place of the old. */
  async failOver(): Promise<void> {
    await this.#primary.server.stop();
    this.#primary = this.#replica;
    await this.#primary.server.with((client) => client.replicaof("NO", "ONE"));
    this.#replication.reset();
    this.#replication.heal();
    this.#replica = await startMember(this.#binary);
    await this.#follow();
  }

  async stop(): Promise<void> {
    await this.#replication.stop();
    await Promise.all([this.#primary.server.stop(), this.#replica.server.stop()]);
  }

  async #follow(): Promise<void> {
    await this.#replica.server.with((client) => client.replicaof("127.0.0.1", this.#replication.port));
    await until("the replica is in step", () => isInStep(this.#replica));
  }
}

async function startMember(binary: RedisBinary): Promise<Member> {
  const port = await freePort();
  const directives = {
    port: `${port}`,
    bind: "127.0.0.1",
    appendonly: "yes",
    appendfsync: "no",
    "repl-diskless-sync-delay": "0",
  };
  const server = new RedisProcess({ binary, client: { host: "127.0.0.1", port }, directives });
  await server.start();
  return { port, server };
}

function isInStep({ server }: Member): Promise<boolean> {
  return server.with(async (client) => (await client.info("replication")).includes("master_link_status:up"));
}
