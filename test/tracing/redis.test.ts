import { expect, it } from "vitest";
import { Source } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { startOtlpReceiver } from "../support/otlp/otlp-receiver.ts";
import { startRedis } from "../support/redis/start-redis.ts";

it("shows the look-up in Redis below the call, whether it found something or not", async () => {
  await using receiver = await startOtlpReceiver();
  const redis = await startRedis("single");
  const [server] = "unixSocket" in redis.target.nodes ? [] : redis.target.nodes;
  try {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      GATEWAY_REDIS_URL: `redis://${server?.host}:${server?.port}`,
      GATEWAY_REDIS_VERDICT_BUDGET_MS: "1000",
    };
    await using fixture = await startGatewayFixture({ env: { ...env, GATEWAY_REPLICA: "a" } });
    const { secret } = await fixture.mint();
    await fixture.tokens.verifyToken({ token: secret });

    // Each replica looks once: a new one until what the first observed has been shared.
    let replicas = 0;
    const isShared = async () => {
      replicas += 1;
      const { tokens } = await fixture.startAnother({ GATEWAY_REPLICA: `b${replicas}` });
      const { source } = await tokens.verifyToken({ token: secret });
      // What is in nobody's memory yet is looked for as well.
      if (source === Source.REDIS) await tokens.verifyToken({ token: (await fixture.mint()).secret });
      return source === Source.REDIS;
    };
    await until(isShared);
    const lookUps = () => receiver.spans.filter(({ name }) => name === "redis verdict");
    await until(() => lookUps().some(({ attributes }) => attributes["m2m.found"] === true));
    await until(() => lookUps().some(({ attributes }) => attributes["m2m.found"] === false));
    const found = lookUps().find(({ attributes }) => attributes["m2m.found"] === true);
    const callOf = () => receiver.spans.find(({ spanId }) => spanId === found?.parentSpanId);
    await until(() => callOf() !== undefined);
    expect(found).toMatchObject({ kind: 3, attributes: { "db.system.name": "redis" } });
    expect(callOf()).toMatchObject({ attributes: { "m2m.source": "redis", "m2m.cache": "shared_hit" } });
    expect(callOf()?.resource["service.instance.id"]).toBe(`b${replicas}`);
  } finally {
    await redis.stop();
  }
});

it("shows the look-up for a caller's own key too, and nothing of the key", async () => {
  await using receiver = await startOtlpReceiver();
  const redis = await startRedis("single");
  const [server] = "unixSocket" in redis.target.nodes ? [] : redis.target.nodes;
  try {
    await using fixture = await startGatewayFixture({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        GATEWAY_REDIS_URL: `redis://${server?.host}:${server?.port}`,
        GATEWAY_REDIS_PREFIX: "own-key-traces",
        GATEWAY_PASSTHROUGH: "true",
      },
    });
    const { secret } = await fixture.mint();
    const traceId = "5".repeat(32);
    const key = fixture.emulator.instanceKey;
    const headers = { "x-clerk-secret-key": key, traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
    await fixture.tokens.verifyToken({ token: secret }, { headers });
    await fixture.close();
    const spans = receiver.spans.filter((span) => span.traceId === traceId);
    const call = spans.find(({ kind }) => kind === 2);
    const below = spans.filter(({ parentSpanId }) => parentSpanId === call?.spanId);
    expect(below.map(({ name }) => name)).toEqual(["redis verdict", "clerk verify"]);
    for (const { body } of receiver.requests) expect(body.toString("latin1")).not.toContain(key);
  } finally {
    await redis.stop();
  }
});
