import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { Propagation, Source, Verdict, Wait } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { until } from "../support/redis/redis-process.ts";
import {
  hang,
  listens,
  pidsOf,
  type RunningWorkers,
  startWorkers,
  type WorkerClient,
} from "../support/workers/running-workers.ts";

const BOUND_MS = 1_000;
/** To start processes, or to let them catch up, on a slow machine that has other work. */
const LONG_MS = 150_000;

describe("a process that hangs or dies", { timeout: 180_000 }, () => {
  let emulator: Emulator;
  let running: RunningWorkers;
  /** On the first worker, and on the second. */
  let clients: readonly [WorkerClient, WorkerClient];

  beforeAll(async () => {
    emulator = await startEmulator();
    running = await startWorkers(emulator, undefined, { GATEWAY_STALENESS_BOUND_MS: String(BOUND_MS) });
    const [one, other] = [running.client(), running.client()];
    // Connections are handed out in turn.
    const names = await Promise.all([one.replica(), other.replica()]);
    expect([...names].sort()).toEqual(["host/1", "host/2"]);
    clients = names[0] === "host/1" ? [one, other] : [other, one];
  }, LONG_MS);
  afterAll(async () => {
    for (const client of clients) client.close();
    await running.process.kill();
    await emulator.close();
  }, LONG_MS);

  it("as the primary, leaves its workers without proof: none answers from memory beyond the bound", async () => {
    const { secret = "" } = await clients[0].tokens.createToken({});
    await untilFromMemory(secret);
    const pid = running.process.pid ?? 0;
    await hang(pid);
    const hungAtMs = performance.now();
    const late: Source[] = [];
    while (late.length < 20) {
      const beganMs = performance.now();
      for (const { tokens } of clients) {
        const { verdict, source } = await tokens.verifyToken({ token: secret });
        expect(verdict).toBe(Verdict.VALID);
        if (beganMs > hungAtMs + BOUND_MS) late.push(source);
      }
    }
    expect(new Set(late)).toEqual(new Set([Source.UPSTREAM]));
    process.kill(pid, "SIGCONT");
    await untilFromMemory(secret);
  });

  it("as a worker, holds a revocation up for the bound at most, and accepts what was revoked at no time after", async () => {
    const [{ tokens: onHung }, { tokens }] = clients;
    const { token, secret = "" } = await tokens.createToken({});
    await untilFromMemory(secret);
    const [pid = 0] = pidsOf(running.process, 1);
    await hang(pid);
    const asked = onHung.verifyToken({ token: secret }).then(
      ({ verdict }) => verdict,
      () => undefined,
    );
    const target = { case: "tokenId", value: token?.id ?? "" } as const;
    const revoked = await tokens.revokeToken({ target, wait: Wait.FLEET });
    expect(revoked).toMatchObject({ propagation: Propagation.FLEET, unconfirmedReplicas: ["host/1"] });
    expect((await tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.REVOKED);
    process.kill(pid, "SIGCONT");
    expect(await asked).not.toBe(Verdict.VALID);
    expect((await onHung.verifyToken({ token: secret })).verdict).not.toBe(Verdict.VALID);
  });

  it("leaves no port and no process behind when the primary is killed", async () => {
    const pids = [...pidsOf(running.process, 1), ...pidsOf(running.process, 2)];
    expect(pids).toHaveLength(2);
    await running.process.kill();
    await until("nothing listens", async () => !(await listens(running.port)));
    await until("the workers have ended", async () => pids.every((pid) => !isAlive(pid)));
  });

  async function untilFromMemory(token: string): Promise<void> {
    await until(
      "both workers answer from memory",
      async () => {
        const answers = await Promise.all(clients.map(({ tokens }) => tokens.verifyToken({ token })));
        return answers.every(({ source }) => source === Source.MEMORY);
      },
      LONG_MS,
    );
  }
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
