import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp/otlp-receiver.ts";
import { until } from "../support/redis/redis-process.ts";
import { type RunningWorkers, startWorkers, type WorkerClient } from "../support/workers/running-workers.ts";

/** To start processes on a slow machine that has other work. */
const LONG_MS = 150_000;
const CALLER = "00f067aa0ba902b7";

let emulator: Emulator;
let receiver: OtlpReceiver;
let running: RunningWorkers;
let clients: readonly WorkerClient[];

beforeAll(async () => {
  emulator = await startEmulator();
  receiver = await startOtlpReceiver();
  running = await startWorkers(emulator, undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  clients = [running.client(), running.client()];
}, LONG_MS);
afterAll(async () => {
  for (const client of clients) client.close();
  await running.process.kill();
  await receiver[Symbol.asyncDispose]();
  await emulator.close();
}, LONG_MS);

it("of calls to either worker and to the console reach the collector, each from the process that served it", {
  timeout: LONG_MS,
}, async () => {
  const replicas = await Promise.all(clients.map((client) => client.replica()));
  expect([...replicas].sort()).toEqual(["host/1", "host/2"]);
  const console = createClient(TokenService, createConnectTransport({ baseUrl: running.admin, httpVersion: "1.1" }));
  const callees = [...clients.map(({ tokens }) => tokens), console];
  const instances = [...replicas, "host"];
  const traceIds = callees.map((_, n) => `${n + 1}`.repeat(32));
  for (const [n, tokens] of callees.entries()) {
    const headers = { traceparent: `00-${traceIds[n]}-${CALLER}-01` };
    const { token, secret = "" } = (await clients[0]?.tokens.createToken({})) ?? {};
    await tokens.verifyToken({ token: secret }, { headers });
    await tokens.revokeToken({ target: { case: "tokenId", value: token?.id ?? "" } }, { headers });
  }
  process.kill(running.process.pid ?? 0, "SIGTERM");
  await until("all have ended, and sent what was left", async () => running.process.stderr.includes('"msg":"stopped"'));

  for (const [n, traceId] of traceIds.entries()) {
    const spans = receiver.spans.filter((span) => span.traceId === traceId);
    expect(new Set(spans.map(({ resource }) => resource["service.instance.id"]))).toEqual(new Set([instances[n]]));
    const calls = spans.filter(({ kind }) => kind === 2);
    expect(calls.map(({ name }) => name.split("/")[1]).sort()).toEqual(["RevokeToken", "VerifyToken"]);
    expect(calls.map(({ parentSpanId }) => parentSpanId)).toEqual([CALLER, CALLER]);
    const attempts = spans.filter(({ kind }) => kind === 3);
    expect(attempts.map(({ name }) => name).sort()).toEqual(["clerk revoke", "clerk verify"]);
    for (const { parentSpanId } of attempts) expect(calls.map(({ spanId }) => spanId)).toContain(parentSpanId);
    // What is written during a call can be found by its trace, whichever process wrote it.
    const lines = running.process.stderr.split("\n").filter((line) => line.includes(`"trace_id":"${traceId}"`));
    expect(lines.filter((line) => line.includes('"audit":true'))).toHaveLength(1);
  }
});
