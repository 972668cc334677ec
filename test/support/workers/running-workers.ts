import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { Emulator } from "../../../src/emulator/emulator.ts";
import { GatewayService } from "../../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { TokenService, type Verdict } from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { ServerProcess } from "../../faults/server-process.ts";
import { freePort } from "../redis/redis-process.ts";
import type { RedisFixture } from "../redis/redis-server-fixture.ts";

/** A gateway of two workers, as a process. */
export interface RunningWorkers {
  readonly process: ServerProcess;
  readonly port: number;
  readonly admin: string;
  client(): WorkerClient;
  ready(): Promise<number>;
}

export type WorkerClient = ReturnType<typeof clientOf>;

/** A call of a stock client may never end if the server's process does meanwhile; nor does one to a process that hangs. */
const CALL_TIMEOUT_MS = 20_000;
/** Load enough to have a call under way at any time, and not so much that a worker cannot start beside it. */
const PACE_MS = 5;

/** A client on a connection of its own. */
function clientOf(url: string) {
  const sessionManager = new Http2SessionManager(url);
  const transport = createGrpcTransport({ baseUrl: url, sessionManager, defaultTimeoutMs: CALL_TIMEOUT_MS });
  const gateway = createClient(GatewayService, transport);
  return {
    tokens: createClient(TokenService, transport),
    gateway,
    replica: async () => (await gateway.getStatus({})).replica,
    close: () => sessionManager.abort(),
  };
}

/** Every answer of calls that go on, one at a time on each connection, until it is stopped. */
export function underLoad(clients: readonly WorkerClient[], token: string) {
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
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
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

export async function startWorkers(
  emulator: Emulator,
  redis: RedisFixture | undefined,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningWorkers> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const nodes = redis?.target.nodes;
  const server = nodes === undefined || "unixSocket" in nodes ? undefined : nodes[0];
  const admin = `http://127.0.0.1:${adminPort}`;
  const ready = async () => {
    const page = (await (await fetch(`${admin}/readyz`)).json()) as { detail: { workers_ready: number } };
    return page.detail.workers_ready;
  };
  const process = new ServerProcess({
    args: ["serve", "--workers", "2", "--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`],
    env: {
      GATEWAY_REPLICA: "host",
      CLERK_API_URL: emulator.url,
      CLERK_SECRET_KEY: emulator.instanceKey,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_MAX_REQUESTS_PER_SECOND: "100000",
      ...(server === undefined ? {} : { GATEWAY_REDIS_URL: `redis://${server.host}:${server.port}` }),
      ...env,
    },
    isUp: async () => (await ready()) === 2,
  });
  await process.start();
  return { process, port, admin, client: () => clientOf(`http://127.0.0.1:${port}`), ready };
}

/** The processes that were started in one place, the latest last. */
export function pidsOf({ stderr }: ServerProcess, worker: number): number[] {
  const lines = [...stderr.matchAll(/"worker":(\d+),"pid":(\d+),"msg":"worker started"/g)];
  return lines.filter(([, index]) => Number(index) === worker).map(([, , pid]) => Number(pid));
}

/** Stops a process where it is. Resolves when none of its threads runs any more. */
export async function hang(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
