import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FreshnessState } from "../../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Source } from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { makeAuthority } from "../../support/certificates.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../../support/gateway-fixture.ts";
import type { RedisFixture } from "../../support/redis/redis-server-fixture.ts";
import { startMutualTlsRedis } from "../../support/redis/start-redis.ts";
import { MountedFiles } from "../../tls/live-files.ts";

/** The only name that the server's certificate has: not the address that it is reached at. */
const NAME = "redis.internal.test";

let files: MountedFiles;
let redis: RedisFixture;
let port = 0;
beforeAll(async () => {
  const authority = makeAuthority();
  const server = authority.issue({ name: "redis", altNames: [`DNS:${NAME}`] });
  const client = authority.issue({ name: "gateway", altNames: [] });
  const stranger = makeAuthority().issue({ name: "gateway", altNames: [] });
  files = new MountedFiles({
    ca: authority.cert,
    ...{ serverCert: server.cert, serverKey: server.key, clientCert: client.cert, clientKey: client.key },
    ...{ strangerCert: stranger.cert, strangerKey: stranger.key },
  });
  redis = await startMutualTlsRedis({
    caFile: files.path("ca"),
    certFile: files.path("serverCert"),
    keyFile: files.path("serverKey"),
    clientCertFile: files.path("clientCert"),
    clientKeyFile: files.path("clientKey"),
  });
  const [node] = "unixSocket" in redis.target.nodes ? [] : redis.target.nodes;
  port = node?.port ?? 0;
});
afterAll(async () => {
  await redis.stop();
  files[Symbol.dispose]();
});

/** `undefined` leaves a setting out. */
function start(settings: Readonly<Record<string, string | undefined>> = {}): Promise<GatewayFixture> {
  const all = {
    GATEWAY_REDIS_URL: `rediss://127.0.0.1:${port}`,
    GATEWAY_REDIS_CA_FILE: files.path("ca"),
    GATEWAY_REDIS_CERT_FILE: files.path("clientCert"),
    GATEWAY_REDIS_KEY_FILE: files.path("clientKey"),
    GATEWAY_REDIS_SERVERNAME: NAME,
    GATEWAY_REDIS_VERDICT_BUDGET_MS: "1000",
    GATEWAY_REPLICA: "a",
    ...settings,
  };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return startGatewayFixture({ env: Object.fromEntries(given) });
}

async function stateOf({ gateway }: GatewayFixture): Promise<FreshnessState | undefined> {
  return (await gateway.getStatus({})).freshness?.state;
}

describe("a Redis that demands client certificates", () => {
  it("is followed and shares verdicts, under the name that its certificate has", async () => {
    await using fixture = await start();
    await until(async () => (await stateOf(fixture)) === FreshnessState.SYNCED);
    const { secret } = await fixture.mint();
    await fixture.tokens.verifyToken({ token: secret });
    let replicas = 0;
    await until(async () => {
      replicas += 1;
      const { tokens } = await fixture.startAnother({ GATEWAY_REPLICA: `b${replicas}` });
      return (await tokens.verifyToken({ token: secret })).source === Source.REDIS;
    });
    const { revocations } = await fixture.tokens
      .revokeToken({ target: { case: "token", value: secret } })
      .then(() => fixture.revocations.listRevocations({}));
    expect(revocations).toHaveLength(1);
  });

  it.each([
    ["no certificate", { GATEWAY_REDIS_CERT_FILE: undefined, GATEWAY_REDIS_KEY_FILE: undefined }, /alert|certificate/],
    ["a certificate of another authority", { certificate: "stranger" }, /alert|certificate|unknown ca/],
    ["no name to expect", { GATEWAY_REDIS_SERVERNAME: undefined }, /ERR_TLS_CERT_ALTNAME_INVALID|altnames/],
    ["another name to expect", { GATEWAY_REDIS_SERVERNAME: "other.test" }, /ERR_TLS_CERT_ALTNAME_INVALID|altnames/],
    ["another authority to trust", { authority: "stranger" }, /self.signed|verify|issuer/i],
  ])("is not talked to with %s: nothing is decided from caches, and the log says why", async (_what, given, reason) => {
    const { certificate, authority, ...settings } = given as Record<string, string | undefined>;
    await using fixture = await start({
      ...settings,
      ...(certificate && {
        GATEWAY_REDIS_CERT_FILE: files.path(`${certificate}Cert`),
        GATEWAY_REDIS_KEY_FILE: files.path(`${certificate}Key`),
      }),
      ...(authority && { GATEWAY_REDIS_CA_FILE: files.path(`${authority}Cert`) }),
    });
    const { secret } = await fixture.mint();
    const sources = [];
    for (let call = 0; call < 3; call += 1) sources.push((await fixture.tokens.verifyToken({ token: secret })).source);
    expect(new Set(sources)).toEqual(new Set([Source.UPSTREAM]));
    expect(await stateOf(fixture)).toBe(FreshnessState.UNSYNCED);
    await until(() => fixture.logLines.some((line) => line.includes('"redis"') && reason.test(line)));
    expect(fixture.logLines.join("")).not.toContain("PRIVATE KEY");
  });
});
