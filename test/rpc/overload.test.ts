import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { LoopDelay } from "../../src/rpc/loop-delay.ts";
import { systemClock } from "../../src/system-clock.ts";
import { admissionWith } from "../support/admission.ts";
import { makeCertificate } from "../support/certificates.ts";
import {
  envelope,
  eventually,
  type FakeGateway,
  failureOf,
  grpcClient,
  grpcPost,
  grpcVerify,
  post,
  startFakeGateway,
  VERIFY,
  verifyRequestBytes,
} from "./fake-gateway.ts";

const WATCH = "/m2mgateway.v1.RevocationService/WatchRevocations";
const CHECK = "/grpc.health.v1.Health/Check";
const BODY = envelope(verifyRequestBytes("mt_1"));

/** A gateway whose calls wait until they are let go. */
async function startHolding(limits: Parameters<typeof admissionWith>[0], delay?: LoopDelay) {
  const admission = admissionWith(limits, delay);
  let letGo = () => {};
  const gone = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const gateway = await startFakeGateway({
    options: { admission },
    async verifyToken() {
      await gone;
      return { verdict: Verdict.VALID };
    },
    routes: (router) => router.service(Health, { check: () => ({ status: ServingStatus.SERVING }) }),
  });
  return { admission, gateway, letGo, [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose]() };
}

describe("a connection beyond the bound", () => {
  it("is closed as it comes, and taken again once another has gone", async () => {
    const admission = admissionWith({ maxConnections: 2 });
    await using gateway = await startFakeGateway({ options: { admission } });
    const open = await Promise.all([connect(gateway), connect(gateway)]);
    const third = await connect(gateway);
    await closed(third);
    expect(admission.refused.connections).toBe(1);
    expect(gateway.server.counts().connections).toBe(2);
    open[0].destroy();
    await eventually(() => gateway.server.counts().connections === 1);
    using client = grpcClient(gateway.server);
    expect((await grpcVerify(client, "mt_1")).verdict).toBe(Verdict.VALID);
    open[1].destroy();
  });

  it("gets no TLS handshake", async () => {
    const admission = admissionWith({ maxConnections: 1 });
    const listen = { host: "127.0.0.1", port: 0 };
    await using gateway = await startFakeGateway({ options: { admission, listen, tls: makeCertificate() } });
    const first = await connect(gateway);
    const second = tls.connect({ port: gateway.server.port, host: "127.0.0.1", rejectUnauthorized: false });
    let secured = false;
    second.once("secureConnect", () => {
      secured = true;
    });
    second.on("error", () => undefined);
    await closed(second);
    expect(secured).toBe(false);
    first.destroy();
  });
});

describe("a call beyond the bound of those under way", () => {
  it("is refused with RESOURCE_EXHAUSTED, the bound's name and when to come back, until one has ended", async () => {
    await using held = await startHolding({ maxInFlight: 8 });
    using client = grpcClient(held.gateway.server);
    const under = Array.from({ length: 7 }, () => grpcVerify(client, "mt_1"));
    await eventually(() => held.admission.inFlight === 7);
    const failure = await failureOf(grpcVerify(client, "mt_1"));
    expect(failure).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "OVERLOADED",
      metadata: { limit: "in_flight" },
      retryAfterSeconds: 1,
    });
    expect(held.gateway.reports.at(-1)).toMatchObject({ code: "RESOURCE_EXHAUSTED", method: "VerifyToken" });
    held.letGo();
    for (const { verdict } of await Promise.all(under)) expect(verdict).toBe(Verdict.VALID);
    await eventually(() => held.admission.inFlight === 0);
    expect((await grpcVerify(client, "mt_1")).verdict).toBe(Verdict.VALID);
    expect(held.admission.refused.in_flight).toBe(1);
  });

  it("is told so in every protocol", async () => {
    await using held = await startHolding({ maxInFlight: 8 });
    const { gateway } = held;
    const under = Array.from({ length: 7 }, () => grpcPost(gateway, {}, BODY));
    await eventually(() => held.admission.inFlight === 7);
    const web = await post(gateway, VERIFY, "application/grpc-web", BODY);
    expect([web.status, web.headers.get("grpc-status")]).toEqual([200, "8"]);
    const unary = await post(gateway, VERIFY, "application/json", "{}");
    expect([unary.status, await unary.text()]).toEqual([429, expect.stringContaining('"OVERLOADED"')]);
    const stream = await post(gateway, WATCH, "application/connect+json", envelope(Buffer.from("{}")));
    const bytes = Buffer.from(await stream.arrayBuffer());
    expect([stream.status, bytes[0], bytes.readUInt32BE(1)]).toEqual([200, 2, bytes.length - 5]);
    expect(bytes.toString("utf8", 5)).toContain('"resource_exhausted"');
    held.letGo();
    await Promise.all(under);
  });

  it("gives its place back when its caller leaves, whatever it was doing", async () => {
    await using held = await startHolding({ maxInFlight: 8 });
    const client = grpcClient(held.gateway.server);
    const under = Array.from({ length: 7 }, () => grpcVerify(client, "mt_1"));
    const settled = Promise.allSettled(under);
    await eventually(() => held.admission.inFlight === 7);
    client.close();
    held.letGo();
    await settled;
    await eventually(() => held.admission.inFlight === 0 && held.admission.pendingBytes === 0);
  });
});

describe("a probe", () => {
  it("is answered however much is under way, and however late the event loop", async () => {
    const delay = new LoopDelay(systemClock);
    delay.standingMs = 60_000;
    await using held = await startHolding({ maxInFlight: 8, shedDelayMs: 100 }, delay);
    const answer = await grpcPost(held.gateway, { ":path": CHECK }, envelope(Buffer.alloc(0)));
    expect(answer.trailers["grpc-status"]).toBe("0");
    expect(held.admission.inFlight).toBe(0);
  });

  it("is answered beside any number of probes whose callers never finish", async () => {
    await using held = await startHolding({ maxInFlight: 8 });
    const unfinished = Array.from({ length: 300 }, () => {
      const socket = net.connect(held.gateway.server.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(`POST ${CHECK} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{`);
      return socket;
    });
    // The oldest have given way.
    await eventually(() => unfinished.filter((socket) => socket.closed).length === 44);
    const answer = await post(held.gateway, CHECK, "application/json", "{}");
    expect(await answer.json()).toEqual({ status: "SERVING" });
    for (const socket of unfinished) socket.destroy();
  });
});

describe("request bytes beyond the bound", () => {
  it("are refused, and given back with their calls", async () => {
    const admission = admissionWith({ maxPendingBytes: 40_000 });
    await using gateway = await startFakeGateway({ options: { admission } });
    const part = `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n`;
    const first = await connect(gateway);
    first.write(part + " ".repeat(35_000));
    await eventually(() => admission.pendingBytes === 35_000);
    const answer = await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}${" ".repeat(30_000)}`);
    expect([answer.status, await answer.text()]).toEqual([429, expect.stringContaining('"pending_bytes"')]);
    const small = await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}`);
    expect(small.status).toBe(200);
    first.destroy();
    await eventually(() => admission.pendingBytes === 0 && admission.inFlight === 0);
  });
});

describe("a client that pipelines over HTTP/1.1", () => {
  /** So small that more of them than may be pipelined are read at once. */
  const request = `POST ${VERIFY} HTTP/1.1\r\nhost:x\r\ncontent-type:application/proto\r\ncontent-length:3\r\n\r\n\n\x01x`;

  it("is served a few, and loses its connection for hundreds, of which few are begun", async () => {
    await using held = await startHolding({});
    const [few, many] = await Promise.all([connect(held.gateway), connect(held.gateway)]);
    few.write(request.repeat(20));
    await eventually(() => held.admission.inFlight === 20);
    many.write(request.repeat(500));
    await closed(many);
    held.letGo();
    await eventually(() => held.admission.inFlight === 0);
    expect(held.gateway.reports).toHaveLength(52);
    expect(few.destroyed).toBe(false);
    few.destroy();
  });
});

async function connect({ server }: FakeGateway): Promise<net.Socket> {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

async function closed(socket: net.Socket): Promise<void> {
  socket.resume();
  await eventually(() => socket.closed);
}
