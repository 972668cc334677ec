import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RedisOptions } from "ioredis";
import { parseRedisUrl, type RedisTarget } from "../../../src/redis/redis-url.ts";
import { makeCertificateFiles } from "../certificates.ts";
import type { RedisBinary } from "./redis-binary.ts";
import { freePort, RedisProcess, withClient } from "./redis-process.ts";
import type { RedisFixture } from "./redis-server-fixture.ts";

/** The least that a gateway's user needs, for the default key prefix. */
const ACL_RULES =
  "resetchannels &m2mgw:revocations resetkeys ~{m2mgw}:log* ~m2mgw:v:* ~m2mgw:c:* -@all +evalsha +eval +info +time " +
  "+exists +xinfo|stream +xadd +xtrim +xrange +xrevrange +hmget +hset +hgetall +hdel +publish +subscribe +get +set +pttl";
const ACL_USER = "gateway";
export const ACL_PASSWORD = "acl-p4ss:w@rd/";

export async function startSingle(binary: RedisBinary): Promise<RedisFixture> {
  const port = await freePort();
  const client = { host: "127.0.0.1", port };
  const server = new RedisProcess({ binary, client, directives: { port: `${port}`, bind: "127.0.0.1" } });
  await server.start();
  return fixtureOf(server, { mode: "single", nodes: [client] });
}

export async function startSingleTls(binary: RedisBinary): Promise<RedisFixture> {
  const files = makeCertificateFiles();
  const port = await freePort();
  const directives = { ...tlsDirectives(port, files), "tls-auth-clients": "no" };
  const client: RedisOptions = { host: "127.0.0.1", port, tls: { ca: files.ca } };
  const server = new RedisProcess({ binary, client, directives });
  await server.start();
  const fixture = fixtureOf(server, {
    mode: "single",
    nodes: [{ host: "127.0.0.1", port }],
    tls: { ca: files.ca },
  });
  const removeFiles = () => rm(files.directory, { recursive: true, force: true });
  return { ...fixture, stop: () => fixture.stop().then(removeFiles) };
}

/** Files of an authority, of a server's certificate by it, and of a client's. */
export type MutualTlsFiles = Readonly<
  Record<"caFile" | "certFile" | "keyFile" | "clientCertFile" | "clientKeyFile", string>
>;

/** Demands a certificate of its clients; its own may have any name. */
export async function startSingleMutualTls(binary: RedisBinary, files: MutualTlsFiles): Promise<RedisFixture> {
  const port = await freePort();
  const [ca, cert, key] = [files.caFile, files.clientCertFile, files.clientKeyFile].map((file) => readFileSync(file));
  const tls = { ca, cert, key, checkServerIdentity: () => undefined };
  const client: RedisOptions = { host: "127.0.0.1", port, tls };
  const directives = { ...tlsDirectives(port, files), "tls-auth-clients": "yes" };
  const server = new RedisProcess({ binary, client, directives });
  await server.start();
  return fixtureOf(server, { mode: "single", nodes: [{ host: "127.0.0.1", port }] });
}

function tlsDirectives(
  port: number,
  { certFile, keyFile, caFile }: Pick<MutualTlsFiles, "caFile" | "certFile" | "keyFile">,
) {
  return {
    port: "0",
    "tls-port": `${port}`,
    bind: "127.0.0.1",
    "tls-cert-file": certFile,
    "tls-key-file": keyFile,
    "tls-ca-cert-file": caFile,
  };
}

/** Reachable over a Unix socket only, for a user that may do no more than a gateway must. */
export async function startSingleAclUnix(binary: RedisBinary): Promise<RedisFixture> {
  const relative = "redis.sock";
  const directives = { port: "0", unixsocket: relative };
  const client: RedisOptions = {};
  const server = new RedisProcess({ binary, client, directives });
  const path = join(server.directory, relative);
  client.path = path;
  await server.start();
  await server.with((admin) =>
    admin.call("ACL", "SETUSER", ACL_USER, "reset", "on", `>${ACL_PASSWORD}`, ...ACL_RULES.split(" ")),
  );
  return fixtureOf(server, {
    mode: "single",
    nodes: { unixSocket: path },
    username: ACL_USER,
    password: ACL_PASSWORD,
  });
}

/** A server that somebody else runs. It is emptied, and can be neither stopped nor broken. */
export async function useSingle(url: string): Promise<RedisFixture> {
  const target = parseRedisUrl(url);
  if (target.mode !== "single" || "unixSocket" in target.nodes) throw new Error("REDIS_URL must name one server");
  const { username, password, database, tls } = target;
  const client: RedisOptions = {
    ...target.nodes[0],
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    db: database ?? 0,
    ...(tls === undefined ? {} : { tls: {} }),
  };
  const flushAll = async () => {
    await withClient(client, (redis) => redis.flushall());
  };
  await flushAll();
  const refuse = async () => {
    throw new Error("this test breaks Redis: unset REDIS_URL and let it start one of its own");
  };
  return {
    target,
    flushAll,
    kill: refuse,
    pause: refuse,
    resume: refuse,
    restartEmpty: refuse,
    stop: async () => {},
  };
}

function fixtureOf(server: RedisProcess, target: RedisTarget): RedisFixture {
  return {
    target,
    kill: () => server.kill(),
    pause: async () => server.pause(),
    resume: async () => server.resume(),
    restartEmpty: async () => {
      await server.kill();
      await server.start();
    },
    flushAll: async () => {
      await server.with((client) => client.flushall());
    },
    stop: () => server.stop(),
  };
}
