import { startCluster } from "./cluster-servers.ts";
import { hasContainers, startContainer } from "./container-server.ts";
import { findBinary, type RedisBinary, unpackBinary } from "./redis-binary.ts";
import type { RedisFixture, SentinelFixture } from "./redis-server-fixture.ts";
import { startSentinel } from "./sentinel-servers.ts";
import {
  type MutualTlsFiles,
  startSingle,
  startSingleAclUnix,
  startSingleMutualTls,
  startSingleTls,
  useSingle,
} from "./single-server.ts";

export type RedisKind = "single" | "single-tls" | "single-acl-unix" | "sentinel" | "cluster";

/**
 * Starts Redis for a test, on loopback. Where one comes from: REDIS_URL (for `single`), a redis-server or valkey-server on
 * the PATH, a container (for `single`), or Debian's package unpacked under node_modules.
 *
 * @throws Error saying how to get one: a test that needs Redis fails without it and is never skipped
 */
export function startRedis(kind: "sentinel"): Promise<SentinelFixture>;
export function startRedis(kind: RedisKind): Promise<RedisFixture>;
export async function startRedis(kind: RedisKind): Promise<RedisFixture> {
  const url = process.env.REDIS_URL;
  if (kind === "single" && url !== undefined && url !== "") return await useSingle(url);
  return await startBreakableRedis(kind);
}

/** The same, never one that somebody else runs: for tests that kill or stop it. */
export async function startBreakableRedis(kind: RedisKind): Promise<RedisFixture> {
  const binary = await findBinary();
  if (binary !== undefined) return await start(kind, binary);
  if (kind === "single" && (await hasContainers())) return await startContainer();
  return await start(kind, await unpackOrExplain());
}

/** One that demands a certificate of its clients. */
export async function startMutualTlsRedis(files: MutualTlsFiles): Promise<RedisFixture> {
  return await startSingleMutualTls((await findBinary()) ?? (await unpackOrExplain()), files);
}

function start(kind: RedisKind, binary: RedisBinary): Promise<RedisFixture> {
  switch (kind) {
    case "single":
      return startSingle(binary);
    case "single-tls":
      return startSingleTls(binary);
    case "single-acl-unix":
      return startSingleAclUnix(binary);
    case "sentinel":
      return startSentinel(binary);
    case "cluster":
      return startCluster(binary);
  }
}

async function unpackOrExplain(): Promise<RedisBinary> {
  try {
    return await unpackBinary();
  } catch (error) {
    throw new Error(
      "no Redis to test with: put redis-server or valkey-server on the PATH (apt-get install redis-server, " +
        "brew install redis), or set REDIS_URL for the tests that need a single server",
      { cause: error },
    );
  }
}
