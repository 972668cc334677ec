import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { until } from "../support/gateway-fixture.ts";
import { type RunningProcess, runMain } from "../support/process-fixture.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { startRedis } from "../support/redis/start-redis.ts";

const CALLERS = 6;
const RESTARTS = 3;
/** The pause of a caller that was told UNAVAILABLE: what gRPC's own retry policies begin with. */
const BACKOFF_MS = 50;

let emulator: Emulator;
let redis: RedisFixture;
beforeEach(async () => {
  emulator = await startEmulator();
  redis = await startRedis("single");
});
afterEach(async () => {
  await redis.stop();
  await emulator.close();
});

interface Replica {
  readonly process: RunningProcess;
  readonly tokens: ReturnType<typeof createClient<typeof TokenService>>;
  readonly revocations: ReturnType<typeof createClient<typeof RevocationService>>;
  close(): void;
}

async function startReplica(): Promise<Replica> {
  const [node] = redis.target.nodes as readonly { host: string; port: number }[];
  const process = runMain(["serve"], {
    env: {
      GATEWAY_LISTEN: "127.0.0.1:0",
      GATEWAY_ADMIN_LISTEN: "127.0.0.1:0",
      GATEWAY_REDIS_URL: `redis://${node?.host}:${node?.port}`,
      CLERK_API_URL: emulator.url,
      CLERK_SECRET_KEY: emulator.instanceKey,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_MAX_REQUESTS_PER_SECOND: "100000",
    },
  });
  const [line] = await process.waitFor(/^\{.*"msg":"serving".*$/m, "stderr");
  const { rpc } = JSON.parse(line) as { rpc: string };
  const sessionManager = new Http2SessionManager(rpc);
  const transport = createGrpcTransport({ baseUrl: rpc, sessionManager });
  return {
    process,
    tokens: createClient(TokenService, transport),
    revocations: createClient(RevocationService, transport),
    close: () => sessionManager.abort(),
  };
}

/** Two replicas behind a balancer that takes turns, of which the first is replaced again and again. */
class Fleet implements AsyncDisposable {
  #replicas: [Replica, Replica];
  readonly #ended: Promise<unknown>[] = [];
  #turn = 0;

  constructor(replicas: [Replica, Replica]) {
    this.#replicas = replicas;
  }

  next(): Replica {
    this.#turn += 1;
    return this.#replicas[this.#turn % 2 === 0 ? 0 : 1];
  }

  /** SIGTERM to one of them; another one takes its place in the balancer before it has ended. */
  async replaceFirst(): Promise<number | null> {
    const [leaving, staying] = this.#replicas;
    const fresh = await startReplica();
    leaving.process.signal("SIGTERM");
    this.#replicas = [staying, fresh];
    const { code } = await leaving.process.exited;
    leaving.close();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of this.#replicas) {
      replica.close();
      await replica.process[Symbol.asyncDispose]();
    }
    await Promise.all(this.#ended);
  }
}

/** One call that is made once more, on whatever replica is next, when it could not be served. */
async function verifyTwice(fleet: Fleet, token: string): Promise<Verdict> {
  try {
    return (await fleet.next().tokens.verifyToken({ token })).verdict;
  } catch (error) {
    if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) throw error;
    await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS));
    return (await fleet.next().tokens.verifyToken({ token })).verdict;
  }
}

/** A watcher that goes on where it was, at whatever replica is next. */
async function follow(fleet: Fleet, seen: string[], resets: string[], signal: AbortSignal): Promise<void> {
  let cursor = "";
  while (!signal.aborted) {
    try {
      for await (const message of fleet.next().revocations.watchRevocations({ cursor }, { signal })) {
        if (message.cursor !== "") cursor = message.cursor;
        if (message.event.case === "revocation") seen.push(message.event.value.tokenId);
        if (message.event.case === "reset") resets.push(cursor);
      }
    } catch {
      // The end of a replica; the next stream goes on after the cursor.
    }
  }
}

it("no call fails and no revocation is missed while replicas are replaced under load", {
  timeout: 180_000,
}, async () => {
  await using fleet = new Fleet(await Promise.all([startReplica(), startReplica()]));
  const { secret } = await fleet.next().tokens.createToken({});
  const failures: unknown[] = [];
  let answered = 0;
  const stop = new AbortController();
  const calls = Array.from({ length: CALLERS }, async () => {
    while (!stop.signal.aborted) {
      const outcome = await verifyTwice(fleet, secret).catch((error: unknown) => error);
      if (outcome !== Verdict.VALID) failures.push(outcome);
      answered += 1;
    }
  });
  const seen: string[] = [];
  const resets: string[] = [];
  const watch = follow(fleet, seen, resets, stop.signal);
  const revoked: string[] = [];
  const revoke = async () => {
    const { token } = await fleet.next().tokens.createToken({});
    const id = token?.id ?? "";
    await fleet.next().tokens.revokeToken({ target: { case: "tokenId", value: id } });
    revoked.push(id);
  };
  try {
    for (let round = 0; round < RESTARTS; round += 1) {
      const before = answered;
      await revoke();
      const [code] = await Promise.all([fleet.replaceFirst(), until(() => answered > before + 10 * CALLERS)]);
      expect(code).toBe(0);
      await revoke();
    }
    await until(() => revoked.every((id) => seen.includes(id)));
  } finally {
    stop.abort();
    await Promise.all([...calls, watch]);
  }
  expect(failures).toEqual([]);
  // Each once: nothing was repeated either, so nobody started over with a snapshot.
  expect([seen.filter((id) => revoked.includes(id)), resets]).toEqual([revoked, []]);
});
