import http from "node:http";
import net from "node:net";
import type * as grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { drainOf } from "../../src/rpc/call-context.ts";
import {
  eventually,
  type FakeGateway,
  failureOf,
  grpcClient,
  grpcVerify,
  startFakeGateway,
  VERIFY,
} from "./fake-gateway.ts";

/** Long enough never to be reached: a test that needs the cut says so. */
const LONG_GRACE_MS = 600_000;

/** A verification that answers when it is told to. */
function heldVerify() {
  let answer = () => {};
  let started = 0;
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  return {
    started: () => started,
    answer: () => answer(),
    verifyToken: async () => {
      started += 1;
      await held;
      return { verdict: Verdict.VALID };
    },
  };
}

function watch(client: grpc.Client) {
  const stream = client.makeServerStreamRequest(
    "/m2mgateway.v1.RevocationService/WatchRevocations",
    () => Buffer.alloc(0),
    (bytes: Buffer) => bytes,
    {},
  );
  const opened = new Promise((resolve) => stream.once("data", resolve));
  const ended = new Promise<grpc.StatusObject>((resolve) => stream.once("status", resolve));
  stream.on("data", () => undefined);
  stream.on("error", () => undefined);
  return { opened, ended };
}

describe("drain", () => {
  const agents: http.Agent[] = [];
  afterEach(() => {
    for (const agent of agents.splice(0)) agent.destroy();
  });

  function keepAlivePost({ server }: FakeGateway): Promise<string> {
    const agent = new http.Agent({ keepAlive: true });
    agents.push(agent);
    return new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json" };
      const request = http.request(`${server.url}${VERIFY}`, { method: "POST", agent, headers }, (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () => resolve(body));
      });
      request.on("error", reject);
      request.end(`{"token":"mt_1"}`);
    });
  }

  it("resolves at once when every connection is idle", async () => {
    const gateway = await startFakeGateway();
    using client = grpcClient(gateway.server);
    await grpcVerify(client, "mt_1");
    await keepAlivePost(gateway);
    const silent = net.connect(gateway.server.port, "127.0.0.1");
    await new Promise((resolve) => silent.once("connect", resolve));
    await gateway.server.drain(LONG_GRACE_MS);
  });

  it("refuses new connections", async () => {
    const gateway = await startFakeGateway();
    await gateway.server.drain(LONG_GRACE_MS);
    await expect(fetch(gateway.server.url)).rejects.toThrow();
  });

  it("lets unary calls finish, then closes their connections", async () => {
    const held = heldVerify();
    const gateway = await startFakeGateway({ verifyToken: held.verifyToken });
    using client = grpcClient(gateway.server);
    const overGrpc = grpcVerify(client, "mt_1");
    const overHttp1 = keepAlivePost(gateway);
    await eventually(() => held.started() === 2);

    const drained = gateway.server.drain(LONG_GRACE_MS);
    held.answer();

    expect((await overGrpc).verdict).toBe(Verdict.VALID);
    expect(JSON.parse(await overHttp1)).toMatchObject({ verdict: "VERDICT_VALID" });
    await drained;
  });

  it("tells streams, which end as they decide", async () => {
    const gateway = await startFakeGateway({
      revocations: {
        async *watchRevocations(_request, context) {
          yield { cursor: "e.1-0" };
          const drain = drainOf(context.values);
          await new Promise((resolve) => drain.addEventListener("abort", resolve));
          expect(context.signal.aborted).toBe(false);
          yield { cursor: "e.2-0" };
          throw drain.reason;
        },
      },
    });
    using client = grpcClient(gateway.server);
    const { opened, ended } = watch(client);
    await opened;
    await gateway.server.drain(LONG_GRACE_MS);
    expect(await ended).toMatchObject({ code: 14, details: "the gateway is shutting down" });
    expect(gateway.reports).toMatchObject([{ code: "UNAVAILABLE", reason: "DRAINING" }]);
  });

  it("cuts what is left after the grace, and says CANCELLED of it", async () => {
    let aborted = false;
    let verifies = 0;
    const gateway = await startFakeGateway({
      verifyToken: () => {
        verifies += 1;
        return new Promise(() => {});
      },
      revocations: {
        async *watchRevocations(_request, { signal }) {
          yield { cursor: "e.1-0" };
          signal.addEventListener("abort", () => {
            aborted = true;
          });
          await new Promise(() => {});
        },
      },
    });
    using client = grpcClient(gateway.server);
    const { opened, ended } = watch(client);
    const unary = failureOf(grpcVerify(client, "mt_1"));
    const http1 = keepAlivePost(gateway).catch((error: unknown) => error);
    await opened;
    await eventually(() => verifies === 2);

    await gateway.server.drain(20);

    // UNAVAILABLE, or INTERNAL when the client hears of the end of the connection together with the GOAWAY before it.
    expect([14, 13]).toContain((await ended).code);
    expect([14, 13]).toContain((await unary).code);
    expect(await http1).toBeInstanceOf(Error);
    await eventually(() => gateway.reports.length === 3);
    expect(gateway.reports.map((report) => report.code)).toEqual(["CANCELLED", "CANCELLED", "CANCELLED"]);
    expect(aborted).toBe(true);
  });

  it("is one drain however often it is asked for", async () => {
    const gateway = await startFakeGateway();
    expect(gateway.server.drain(LONG_GRACE_MS)).toBe(gateway.server.drain(0));
    await gateway.server.drain(0);
  });

  it("leaves no socket or timer that would keep the process alive", async () => {
    const before = process.getActiveResourcesInfo().filter(isOurs).length;
    const held = heldVerify();
    const gateway = await startFakeGateway({ verifyToken: held.verifyToken });
    const client = grpcClient(gateway.server);
    const call = grpcVerify(client, "mt_1", { deadline: Date.now() + 3_600_000 });
    await eventually(() => held.started() === 1);
    held.answer();
    await call;
    client.close();
    await gateway.server.drain(LONG_GRACE_MS);
    await eventually(() => process.getActiveResourcesInfo().filter(isOurs).length <= before);
  });
});

function isOurs(resource: string): boolean {
  return resource === "TCPSocketWrap" || resource === "TCPServerWrap";
}

describe("startRpcServer", () => {
  it("rejects when the port is taken", async () => {
    await using gateway = await startFakeGateway();
    await expect(
      startFakeGateway({ options: { listen: { host: "127.0.0.1", port: gateway.server.port } } }),
    ).rejects.toThrow("EADDRINUSE");
  });
});
