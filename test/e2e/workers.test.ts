import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { FreshnessState, GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Propagation, Source, TokenService, Verdict, Wait } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { ServerProcess } from "../faults/server-process.ts";
import { freePort, until } from "../support/redis/redis-process.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { startRedis } from "../support/redis/start-redis.ts";

const CONNECTIONS = 6;

/** A gateway of two workers, as a process. */
interface RunningWorkers {
  readonly process: ServerProcess;
  readonly port: number;
  readonly admin: string;
  client(): ReturnType<typeof clientOf>;
}

function clientOf(url: string) {
  const sessionManager = new Http2SessionManager(url);
  const transport = createGrpcTransport({ baseUrl: url, sessionManager });
  const status = createClient(GatewayService, transport);
  return {
    tokens: createClient(TokenService, transport),
    replica: async () => (await status.getStatus({})).replica,
    close: () => sessionManager.abort(),
  };
}

/** Every answer of calls that go on, one at a time on each connection, until it is stopped. */
function underLoad(clients: readonly ReturnType<typeof clientOf>[], token: string) {
  let stopped = false;
  const answers: { readonly client: number; readonly beganMs: number; readonly verdict: Verdict | undefined }[] = [];
  const loops = clients.map(async ({ tokens }, client) => {
    while (!stopped) {
      const beganMs = performance.now();
      const verdict = await tokens.verifyToken({ token }).then(
        (answer) => answer.verdict,
        () => undefined,
      );
      answers.push({ client, beganMs, verdict });
    }
  });
  return {
    answers,
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

describe.each(["with Redis", "without Redis"])("serve --workers 2 %s", { timeout: 120_000 }, (kind) => {
  let emulator: Emulator;
  let redis: RedisFixture | undefined;
  let running: RunningWorkers;
  let clients: ReturnType<typeof clientOf>[] = [];

  beforeEach(async () => {
    emulator = await startEmulator();
    redis = kind === "with Redis" ? await startRedis("single") : undefined;
    running = await start(emulator, redis);
    clients = Array.from({ length: CONNECTIONS }, () => running.client());
    // A connection is opened by its first call; they are handed out in turn.
    const replicas = await Promise.all(clients.map((client) => client.replica()));
    expect([...new Set(replicas)].sort()).toEqual(["host/1", "host/2"]);
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await running.process.kill();
    await redis?.stop();
    await emulator.close();
  });

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
      async () => pidsOf(running.process, 1).length === 2 && (await workersReady()) === 2,
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

    function clientOn(replica: string): ReturnType<typeof clientOf> {
      const client = clients[replicas.indexOf(replica)];
      if (client === undefined) throw new Error(`no connection to ${replica}`);
      return client;
    }
  });

  it("tells metrics of both workers, and drains them on SIGTERM", async () => {
    const metrics = await (await fetch(`${running.admin}/metrics`)).text();
    expect(metrics).toMatch(/^m2m_gateway_watchers\{worker="1"\} 0\n.*m2m_gateway_watchers\{worker="2"\} 0$/m);
    process.kill(running.process.pid ?? 0, "SIGTERM");
    await until("it has stopped", async () => running.process.stderr.includes('"msg":"stopped"'));
    await until("nothing listens", async () => !(await listens(running.port)));
    expect(running.process.stderr).not.toContain('"level":"error"');
  });

  it("answers the console for both workers, whose figures it adds up, and revokes for them", async () => {
    const { token, secret = "" } = (await clients[0]?.tokens.createToken({})) ?? {};
    await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
    await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
    const transport = createConnectTransport({ baseUrl: running.admin, httpVersion: "1.1" });
    const status = await createClient(GatewayService, transport).getStatus({});
    expect(status).toMatchObject({
      replica: "host",
      freshness: { state: FreshnessState.SYNCED },
      workers: { configured: 2, reporting: 2, restarts: 0n },
      fleet: { replicas: [{ name: "host", self: true }] },
    });
    expect(status.verifications.reduce((sum, { count }) => sum + count, 0n)).toBe(BigInt(2 * CONNECTIONS));

    const console = createClient(TokenService, transport);
    const target = { case: "tokenId", value: token?.id ?? "" } as const;
    const { propagation } = await console.revokeToken({ target, wait: Wait.FLEET });
    expect(propagation).toBe(Propagation.FLEET);
    const after = await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token: secret })));
    expect(after.map(({ verdict }) => verdict)).toEqual(clients.map(() => Verdict.REVOKED));
    // Without Redis it has never seen the token and asks Clerk, which does not say why it refuses.
    const verdict = redis === undefined ? Verdict.INVALID : Verdict.REVOKED;
    expect((await console.verifyToken({ token: secret })).verdict).toBe(verdict);
  });

  it("leaves no port and no process behind when the primary is killed", async () => {
    const pids = [...pidsOf(running.process, 1), ...pidsOf(running.process, 2)];
    expect(pids).toHaveLength(2);
    await running.process.kill();
    await until("nothing listens", async () => !(await listens(running.port)));
    await until("the workers have ended", async () => pids.every((pid) => !isAlive(pid)));
  });

  async function workersReady(): Promise<number> {
    const page = (await (await fetch(`${running.admin}/readyz`)).json()) as { detail: { workers_ready: number } };
    return page.detail.workers_ready;
  }
});

async function start(emulator: Emulator, redis: RedisFixture | undefined): Promise<RunningWorkers> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const nodes = redis?.target.nodes;
  const server = nodes === undefined || "unixSocket" in nodes ? undefined : nodes[0];
  const admin = `http://127.0.0.1:${adminPort}`;
  const process = new ServerProcess({
    args: ["serve", "--workers", "2", "--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`],
    env: {
      GATEWAY_REPLICA: "host",
      CLERK_API_URL: emulator.url,
      CLERK_SECRET_KEY: emulator.instanceKey,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_MAX_REQUESTS_PER_SECOND: "100000",
      ...(server === undefined ? {} : { GATEWAY_REDIS_URL: `redis://${server.host}:${server.port}` }),
    },
    isUp: async () => {
      const page = (await (await fetch(`${admin}/readyz`)).json()) as { detail: { workers_ready: number } };
      return page.detail.workers_ready === 2;
    },
  });
  await process.start();
  return { process, port, admin, client: () => clientOf(`http://127.0.0.1:${port}`) };
}

/** The processes that were started in one place, the latest last. */
function pidsOf({ stderr }: ServerProcess, worker: number): number[] {
  const lines = [...stderr.matchAll(/"worker":(\d+),"pid":(\d+),"msg":"worker started"/g)];
  return lines.filter(([, index]) => Number(index) === worker).map(([, , pid]) => Number(pid));
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
