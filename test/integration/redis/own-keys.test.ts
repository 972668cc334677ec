import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Source, TokenService, Verdict } from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type RunningGateway, startGatewayFixture, until } from "../../support/gateway-fixture.ts";
import { withClient } from "../../support/redis/redis-process.ts";
import type { RedisFixture } from "../../support/redis/redis-server-fixture.ts";
import { startRedis } from "../../support/redis/start-redis.ts";

let redis: RedisFixture;
beforeAll(async () => {
  redis = await startRedis("single");
});
afterAll(() => redis.stop());

function server() {
  const [node] = "unixSocket" in redis.target.nodes ? [] : redis.target.nodes;
  if (node === undefined) throw new Error("the server has no address");
  return node;
}

/** Calls with a key of the upstream's, the gateway's own where none is given. */
function tokensOf({ url }: RunningGateway, ownKey?: string) {
  const withKey: Interceptor = (next) => (request) => {
    if (ownKey !== undefined) request.header.set("x-clerk-secret-key", ownKey);
    return next(request);
  };
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1", interceptors: [withKey] });
  return createClient(TokenService, transport);
}

/** How many verdicts are shared by now. */
function shared(prefix: string): Promise<number> {
  return withClient(server(), async (client) => (await client.keys(`${prefix}:v:*`)).length);
}

describe.each([
  ["derived from the key that verifies", "own-keys-derived", {}],
  ["given to all replicas", "own-keys-given", { GATEWAY_VERDICT_KEY: "0123456789abcdef0123456789abcdef" }],
])("verdicts in Redis under names %s", (_how, prefix, env) => {
  it("are shared between replicas by callers' own keys, and by no two credentials", async () => {
    const machines = [{ name: "billing", scoped_machines: ["billing"] }, { name: "reports" }];
    await using fixture = await startGatewayFixture({
      emulator: { seed: { machines } },
      env: {
        GATEWAY_PASSTHROUGH: "true",
        GATEWAY_REDIS_URL: `redis://${server().host}:${server().port}`,
        GATEWAY_REDIS_PREFIX: prefix,
        GATEWAY_REDIS_VERDICT_BUDGET_MS: "1000",
        GATEWAY_REPLICA: "a",
        ...env,
      },
    });
    const another = await fixture.startAnother({ GATEWAY_REPLICA: "b" });
    const { emulator } = fixture;
    const stranger = emulator.machine("reports").secretKey;
    const { id, secret } = await fixture.mint();
    const verify = async (gateway: RunningGateway, ownKey?: string) => {
      const { verdict, source } = await tokensOf(gateway, ownKey).verifyToken({ token: secret });
      return [Verdict[verdict], Source[source]];
    };

    // One replica has asked with a caller's own key. The other one finds that under the same key, and under no other.
    expect(await verify(fixture, emulator.instanceKey)).toEqual(["VALID", "UPSTREAM"]);
    await until(async () => (await shared(prefix)) === 1);
    expect(await verify(another)).toEqual(["VALID", "UPSTREAM"]);
    const [theirs] = await verify(another, stranger);
    expect(theirs).not.toBe("VALID");
    expect(await verify(another, emulator.instanceKey)).toEqual(["VALID", "REDIS"]);

    // Nor does a caller's own key find what the gateway's own was told, here or there.
    await until(async () => (await shared(prefix)) === 2);
    expect((await verify(fixture, stranger))[0]).not.toBe("VALID");
    expect(await verify(fixture)).toEqual(["VALID", "REDIS"]);
    expect(emulator.control.requests.total("m2m_tokens.verify")).toBe(4);

    // A revocation is a fact about the token, whoever asks.
    await tokensOf(another, emulator.instanceKey).revokeToken({ target: { case: "tokenId", value: id } });
    const isRevoked = async (ownKey?: string) => (await verify(fixture, ownKey))[0] === "REVOKED";
    await until(async () => (await isRevoked()) && (await isRevoked(emulator.instanceKey)));
  });
});
