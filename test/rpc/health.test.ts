import { create } from "@bufbuild/protobuf";
import { Code, createClient, createHandlerContext } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../src/gen/health/v1/health_pb.ts";
import { createHealth } from "../../src/rpc/health.ts";
import { eventually, failureOf, startFakeGateway } from "./fake-gateway.ts";

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = ServingStatus;

async function startHealth() {
  const health = createHealth(["", "m2mgateway.freshness"]);
  const gateway = await startFakeGateway({ routes: (router) => router.service(Health, health.implementation) });
  const client = createClient(Health, createGrpcTransport({ baseUrl: gateway.server.url }));
  return { health, client, gateway, [Symbol.asyncDispose]: () => gateway.server.drain(0) };
}

/** What a watcher has received so far, read as fast as it comes. */
function follow(stream: AsyncIterable<{ status: ServingStatus }>) {
  const received: ServingStatus[] = [];
  const reading = async () => {
    for await (const { status } of stream) received.push(status);
  };
  return { received, failure: failureOf(reading()) };
}

describe("Check", () => {
  it("tells the status of a service and of the whole", async () => {
    await using setup = await startHealth();
    setup.health.setServing("", true);
    expect(await setup.client.check({})).toMatchObject({ status: SERVING });
    expect(await setup.client.check({ service: "m2mgateway.freshness" })).toMatchObject({ status: NOT_SERVING });
  });

  it("is NOT_FOUND for a service that is not known", async () => {
    await using setup = await startHealth();
    expect(await failureOf(setup.client.check({ service: "x" }))).toMatchObject({
      code: Code.NotFound,
      reason: "SERVICE_UNKNOWN",
    });
  });
});

describe("List", () => {
  it("tells all there are", async () => {
    await using setup = await startHealth();
    setup.health.setServing("", true);
    const { statuses } = await setup.client.list({});
    expect(Object.entries(statuses).map(([name, { status }]) => [name, status])).toEqual([
      ["", SERVING],
      ["m2mgateway.freshness", NOT_SERVING],
    ]);
  });
});

describe("Watch", () => {
  it("sends the status at once and then nothing but changes", async () => {
    await using setup = await startHealth();
    const { received, failure } = follow(setup.client.watch({ service: "" }));
    await eventually(() => received.length === 1);
    setup.health.setServing("", false);
    setup.health.setServing("m2mgateway.freshness", true);
    setup.health.setServing("", true);
    await eventually(() => received.length === 2);
    expect(received).toEqual([NOT_SERVING, SERVING]);
    await setup.gateway.server.drain(60_000);
    await failure;
  });

  it("follows a service that is not known yet", async () => {
    await using setup = await startHealth();
    const { received, failure } = follow(setup.client.watch({ service: "later" }));
    await eventually(() => received.length === 1);
    setup.health.setServing("later", true);
    await eventually(() => received.length === 2);
    expect(received).toEqual([SERVICE_UNKNOWN, SERVING]);
    await setup.gateway.server.drain(60_000);
    await failure;
  });

  it("tells a reader that was away for many changes only the last", async () => {
    const health = createHealth([""]);
    const gone = new AbortController();
    const context = createHandlerContext({
      service: Health,
      method: Health.method.watch,
      protocolName: "grpc",
      requestMethod: "POST",
      url: "http://gateway/",
      requestSignal: gone.signal,
    });
    const stream = health.implementation.watch(create(HealthCheckRequestSchema), context);
    const iterator = stream[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ status: NOT_SERVING });
    for (let change = 0; change < 1001; change += 1) health.setServing("", change % 2 === 0);
    expect((await iterator.next()).value).toMatchObject({ status: SERVING });
    const next = iterator.next();
    gone.abort(new Error("gone"));
    await expect(next).rejects.toThrow("gone");
  });

  it("sends the last status and ends with UNAVAILABLE when the gateway drains", async () => {
    await using setup = await startHealth();
    setup.health.setServing("", true);
    const { received, failure } = follow(setup.client.watch({ service: "" }));
    await eventually(() => received.length === 1);
    setup.health.setServing("", false);
    await setup.gateway.server.drain(60_000);
    expect(await failure).toMatchObject({ code: Code.Unavailable, reason: "DRAINING" });
    expect(received).toEqual([SERVING, NOT_SERVING]);
  });

  it("ends when its caller leaves", async () => {
    await using setup = await startHealth();
    const leave = new AbortController();
    const { received, failure } = follow(setup.client.watch({ service: "" }, { signal: leave.signal }));
    await eventually(() => received.length === 1);
    leave.abort();
    await failure;
    await eventually(() => setup.gateway.reports.length === 1);
    expect(setup.gateway.reports).toMatchObject([{ method: "Watch", code: "CANCELLED" }]);
  });
});
