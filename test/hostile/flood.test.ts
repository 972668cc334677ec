import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { startHostile } from "../support/hostile-fixture.ts";

const CONNECTIONS = 8;
const TOKENS_EACH = 1_000;
const AT_ONCE = 100;
const PER_SECOND = 500;
const REFUSALS_KEPT = 1_000;

/** In a thread of its own, so that the attackers do not take the gateway's time to run in. Speaks stock gRPC. */
const ATTACK = `
const { randomBytes } = require("node:crypto");
const { parentPort, workerData } = require("node:worker_threads");
const grpc = require("@grpc/grpc-js");
const { port, connections, tokensEach, atOnce } = workerData;
const outcomes = { valid: 0 };
const path = "/m2mgateway.v1.TokenService/VerifyToken";
const asIs = (bytes) => bytes;
const VALID = Buffer.from([8, 1]);
async function attack() {
  const client = new grpc.Client("127.0.0.1:" + port, grpc.credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const verify = () => new Promise((resolve) => {
    const token = Buffer.from("mt_" + randomBytes(24).toString("hex"));
    client.makeUnaryRequest(path, asIs, asIs, Buffer.concat([Buffer.from([10, token.length]), token]), (error, answer) => {
      const code = error ? error.code : 0;
      outcomes[code] = (outcomes[code] ?? 0) + 1;
      if (answer && answer.subarray(0, 2).equals(VALID)) outcomes.valid += 1;
      resolve();
    });
  });
  for (let sent = 0; sent < tokensEach; sent += atOnce) await Promise.all(Array.from({ length: atOnce }, verify));
  client.close();
}
Promise.all(Array.from({ length: connections }, attack)).then(() => parentPort.postMessage(outcomes));
`;

function heapAfterGc(): number {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  if (typeof gc === "function") gc();
  return process.memoryUsage().heapUsed;
}

describe("a flood of made-up tokens", () => {
  it("leaves hot tokens in memory, known ones answered, the upstream within its caps and the heap flat", {
    timeout: 180_000,
  }, async () => {
    await using hostile = await startHostile({
      env: {
        CLERK_MAX_REQUESTS_PER_SECOND: String(PER_SECOND),
        CLERK_MAX_CONCURRENCY: "16",
        CLERK_MAX_QUEUE: "32",
        CLERK_TIMEOUT_MS: "30000",
        CLERK_ATTEMPT_TIMEOUT_MS: "30000",
        GATEWAY_VERDICT_TTL_MS: "600000",
        GATEWAY_REFUSAL_CACHE_MAX_ENTRIES: String(REFUSALS_KEPT),
        GATEWAY_LOG_LEVEL: "fatal",
      },
    });
    const { tokens, gateway } = hostile.clients;
    const hot = [await hostile.mint(), await hostile.mint(), await hostile.mint()];
    for (const { secret } of hot) await tokens.verifyToken({ token: secret });
    const { requests } = hostile.emulator.control;
    const [sentBefore, heapBefore, startedAtMs] = [
      requests.total("m2m_tokens.verify"),
      heapAfterGc(),
      performance.now(),
    ];

    const attackers = new Worker(ATTACK, {
      eval: true,
      workerData: { port: hostile.port, connections: CONNECTIONS, tokensEach: TOKENS_EACH, atOnce: AT_ONCE },
    });
    let over = false;
    const bystander = async () => {
      let rounds = 0;
      for (; !over; rounds++) {
        for (const { secret: token } of hot) {
          const answer = await tokens.verifyToken({ token });
          expect(answer).toMatchObject({ verdict: Verdict.VALID, source: Source.MEMORY });
        }
        // As if its time in the cache were over: the known lane must carry it past the flood.
        const again = await tokens.verifyToken({ token: hot[rounds % hot.length]?.secret ?? "", maxAge: {} });
        expect(again).toMatchObject({ verdict: Verdict.VALID, source: Source.UPSTREAM });
      }
      return rounds;
    };
    const [[outcomes], rounds] = await Promise.all([
      once(attackers, "message").finally(() => {
        over = true;
      }),
      bystander(),
    ]);

    const elapsedSeconds = (performance.now() - startedAtMs) / 1000;
    expect(rounds).toBeGreaterThan(0);
    // By gRPC code: answered (and then INVALID), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED.
    const { 0: answered = 0, 4: late = 0, 8: shed = 0, valid = 0 } = outcomes;
    expect(answered + late + shed).toBe(CONNECTIONS * TOKENS_EACH);
    expect(answered).toBeGreaterThan(0);
    expect(valid).toBe(0);
    expect(requests.total("m2m_tokens.verify") - sentBefore).toBeLessThanOrEqual(PER_SECOND * (elapsedSeconds + 1));
    const { cache, upstream } = await gateway.getStatus({});
    expect(cache?.knownEntries).toBe(BigInt(hot.length));
    expect(Number(cache?.refusedEntries)).toBeLessThanOrEqual(REFUSALS_KEPT);
    expect(upstream).toMatchObject({ reachable: true, inFlight: 0n, queued: 0n });
    expect(requests.counts()["m2m_tokens.verify"]?.max_in_flight).toBeLessThanOrEqual(16);
    expect(heapAfterGc() - heapBefore).toBeLessThan(48 * 1024 * 1024);
    await hostile.assertAlive();
  });
});
