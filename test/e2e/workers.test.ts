import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import {
  FreshnessState,
  GatewayService,
  type GetStatusResponse,
} from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Propagation, Source, TokenService, Verdict, Wait } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { until } from "../support/redis/redis-process.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { startRedis } from "../support/redis/start-redis.ts";
import {
  listens,
  pidsOf,
  type RunningWorkers,
  startWorkers,
  underLoad,
  type WorkerClient,
} from "../support/workers/running-workers.ts";

const CONNECTIONS = 6;
/** To start a process on a slow machine that has other work. */
const LONG_MS = 150_000;

describe.each(["with Redis", "without Redis"])("serve --workers 2 %s", { timeout: 180_000 }, (kind) => {
  let emulator: Emulator;
  let redis: RedisFixture | undefined;
  let running: RunningWorkers;
  let clients: WorkerClient[] = [];

  beforeAll(async () => {
    emulator = await startEmulator();
    redis = kind === "with Redis" ? await startRedis("single") : undefined;
    running = await startWorkers(emulator, redis);
    clients = Array.from({ length: CONNECTIONS }, () => running.client());
    // A connection is opened by its first call; they are handed out in turn.
    const replicas = await Promise.all(clients.map((client) => client.replica()));
    expect([...new Set(replicas)].sort()).toEqual(["host/1", "host/2"]);
  }, LONG_MS);
  afterAll(async () => {
    for (const client of clients) client.close();
    await running.process.kill();
    await redis?.stop();
    await emulator.close();
  }, LONG_MS);

  it("answers VALID on no connection once a revocation with WAIT_FLEET was answered", async () => {
    const [first] = clients;
    for (let round = 0; round < 5; round += 1) {
      const { token, secret = "" } = (await first?.tokens.createToken({})) ?? {};
      await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
      const cached = await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
      expect(new Set(cached.map(({ source }) => source))).toEqual(new Set([Source.MEMORY]));

      const load = underLoad(clients, secret);
      const target = { case: "tokenId", value: token?.id ?? "" } as const;
      const revoked = await first?.tokens.revokeToken({ target, wait: Wait.FLEET });
      const revokedAtMs = performance.now();
      const after = await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
      await load.stop();
      expect(revoked).toMatchObject({ propagation: Propagation.FLEET });
      expect(after.map(({ verdict }) => verdict)).toEqual(clients.map(() => Verdict.REVOKED));
      const late = load.answers.filter(({ beganMs, verdict }) => beganMs > revokedAtMs && verdict !== Verdict.REVOKED);
      expect(late).toEqual([]);
      expect(load.answers.some(({ verdict }) => verdict === Verdict.VALID)).toBe(true);
    }
  });

  it("has both workers forget what one is told to forget", async () => {
    const { secret } = (await clients[0]?.tokens.createToken({})) ?? { secret: "" };
    const verify = () => Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
    await verify();
    expect(new Set((await verify()).map(({ source }) => source))).toEqual(new Set([Source.MEMORY]));
    const toldAtMs = Date.now();
    await clients[0]?.gateway.invalidateCache({ target: { case: "all", value: true } });
    for (const { observedTime } of await verify()) {
      if (observedTime === undefined) throw new Error("the answer does not tell when it was observed");
      expect(timestampMs(observedTime)).toBeGreaterThanOrEqual(toldAtMs);
    }
  });

  it("answers the console for both workers, whose figures it adds up, and revokes for them", async () => {
    const transport = createConnectTransport({ baseUrl: running.admin, httpVersion: "1.1" });
    const statusOf = () => createClient(GatewayService, transport).getStatus({});
    const verified = ({ verifications }: GetStatusResponse) =>
      verifications.reduce((sum, { count }) => sum + count, 0n);
    const before = await statusOf();
    expect(before).toMatchObject({
      replica: "host",
      freshness: { state: FreshnessState.SYNCED },
      workers: { configured: 2, reporting: 2 },
      fleet: { replicas: [{ name: "host", self: true }] },
    });
    const { token, secret = "" } = (await clients[0]?.tokens.createToken({})) ?? {};
    await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
    expect(verified(await statusOf()) - verified(before)).toBe(BigInt(CONNECTIONS));

    const console = createClient(TokenService, transport);
    const target = { case: "tokenId", value: token?.id ?? "" } as const;
    const { propagation } = await console.revokeToken({ target, wait: Wait.FLEET });
    expect(propagation).toBe(Propagation.FLEET);
    const after = await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
    expect(after.map(({ verdict }) => verdict)).toEqual(clients.map(() => Verdict.REVOKED));
    expect((await console.verifyToken({ token: secret })).verdict).not.toBe(Verdict.VALID);
  });

  it("goes on while a worker dies, and starts another one in its place that knows what was revoked", async () => {
    const { secret } = (await clients[0]?.tokens.createToken({})) ?? { secret: "" };
    const replicas = await Promise.all(clients.map((client) => client.replica()));
    const load = underLoad(clients, secret);
    await until("answers come on every connection", async () => load.answers.length > 5 * CONNECTIONS);
    const diedMs = performance.now();
    const [victim] = pidsOf(running.process, 1);
    process.kill(victim ?? 0, "SIGKILL");

    const { token: revoked, secret: revokedSecret } = (await clientOn("host/2").tokens.createToken({})) ?? {};
    const target = { case: "tokenId", value: revoked?.id ?? "" } as const;
    await clientOn("host/2").tokens.revokeToken({ target, wait: Wait.FLEET });
    await until(
      "the worker is back",
      async () => pidsOf(running.process, 1).length === 2 && (await running.ready()) === 2,
      LONG_MS,
    );
    await load.stop();
    const others = load.answers.filter(({ client, beganMs }) => replicas[client] === "host/2" && beganMs > diedMs);
    expect(others.length).toBeGreaterThan(0);
    expect(others.filter(({ verdict }) => verdict !== Verdict.VALID)).toEqual([]);

    const fresh = Array.from({ length: 4 }, () => running.client());
    clients.push(...fresh);
    expect(new Set(await Promise.all(fresh.map((client) => client.replica())))).toEqual(new Set(["host/1", "host/2"]));
    for (const { tokens } of fresh) {
      expect((await tokens.verifyToken({ token: revokedSecret ?? "" })).verdict).not.toBe(Verdict.VALID);
    }

    function clientOn(replica: string): WorkerClient {
      const client = clients[replicas.indexOf(replica)];
      if (client === undefined) throw new Error(`no connection to ${replica}`);
      return client;
    }
  });

  it("tells metrics of both workers and of the primary, and drains them on SIGTERM", async () => {
    const metrics = await (await fetch(`${running.admin}/metrics`)).text();
    expect(metrics).toMatch(/^m2m_gateway_watchers\{worker="1"\} 0\n.*m2m_gateway_watchers\{worker="2"\} 0$/m);
    // The process that answers the console has verified and revoked for it.
    expect(metrics).toMatch(/^process_resident_memory_bytes\{worker="primary"\} \d+$/m);
    expect(metrics).toMatch(/^m2m_gateway_upstream_requests_total\{worker="primary",operation="revoke"\} 1$/m);
    process.kill(running.process.pid ?? 0, "SIGTERM");
    await until("it has stopped", async () => running.process.stderr.includes('"msg":"stopped"'));
    await until("nothing listens", async () => !(await listens(running.port)));
    const errors = running.process.stderr.split("\n").filter((line) => line.includes('"level":"error"'));
    expect(errors.filter((line) => !line.includes('"msg":"a worker ended"'))).toEqual([]);
  });
});
