import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Propagation, TokenFormat, TokenService, Verdict, Wait } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type GatewayFixture, type RunningGateway, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { failureOf } from "../support/hostile-fixture.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { startBreakableRedis } from "../support/redis/start-redis.ts";

const CALLERS = 1_000;
const LATER_CALLERS = 90;
const CREATE = "m2m_tokens.create";
const BOUND_MS = 1_000;

interface Answer {
  readonly replica: number;
  readonly beganMs: number;
  readonly id: string;
  /** When the token was minted, by the wall clock. */
  readonly mintedMs: number;
}

describe("the pools of three replicas on one Redis", { timeout: 120_000 }, () => {
  let redis: RedisFixture;
  let fixture: GatewayFixture;
  let replicas: RunningGateway[];

  beforeAll(async () => {
    redis = await startBreakableRedis("single");
  });
  afterAll(() => redis.stop());
  async function start(boundMs: number): Promise<void> {
    const { nodes } = redis.target;
    const server = "unixSocket" in nodes ? undefined : nodes[0];
    fixture = await startGatewayFixture({
      env: {
        GATEWAY_REDIS_URL: `redis://${server?.host}:${server?.port}`,
        GATEWAY_STALENESS_BOUND_MS: String(boundMs),
        // All callers and replicas are in this one process, and so it is late however little each does.
        GATEWAY_SHED_DELAY_MS: "0",
        CLERK_TIMEOUT_MS: "60000",
      },
    });
    replicas = [fixture, await fixture.startAnother(), await fixture.startAnother()];
  }
  afterEach(() => fixture[Symbol.asyncDispose]());

  function replicaOf(n: number): RunningGateway {
    const replica = replicas[n % replicas.length];
    if (replica === undefined) throw new Error("no replica");
    return replica;
  }

  const acquireAtOnce = (format: TokenFormat, callers: number) =>
    Promise.all(Array.from({ length: callers }, (_, n) => replicaOf(n).tokens.acquireToken({ format })));

  it.each([
    ["one opaque token in all, which the upstream gives to each", TokenFormat.OPAQUE, 1],
    ["one JWT each", TokenFormat.JWT, 3],
  ])("mint %s, for 1,000 callers at once and 90 more", async (_what, format, tokens) => {
    // A thousand clients in this one process may keep it from looking at the log for more than a second.
    await start(60_000);
    fixture.emulator.control.faults.add({ route: CREATE, answer_latency_ms: 300 });
    const answers = [...(await acquireAtOnce(format, CALLERS)), ...(await acquireAtOnce(format, LATER_CALLERS))];
    expect(fixture.emulator.control.requests.total(CREATE)).toBe(3);
    expect(new Set(answers.map(({ secret }) => secret)).size).toBe(tokens);
    expect(new Set(answers.map(({ token }) => token?.id)).size).toBe(tokens);

    let saved = 0;
    for (const { gateway } of replicas) {
      const { pool, spend } = await gateway.getStatus({});
      expect(pool).toMatchObject({ tokens: 1n, creations: 1n, renewals: 0n, failures: 0n });
      saved += Number(spend?.savedCreations);
    }
    expect(saved).toBe(CALLERS + LATER_CALLERS - 3);
  });

  it("give a token that other machines and protocols take, claims in any order", async () => {
    await start(BOUND_MS);
    const overHttp1 = createClient(
      TokenService,
      createConnectTransport({ baseUrl: replicaOf(1).url, httpVersion: "1.1", useBinaryFormat: false }),
    );
    const text = (value: string) => ({ kind: { case: "stringValue" as const, value } });
    const claimsOf = (...names: string[]) => ({
      kind: {
        case: "structValue" as const,
        value: { fields: Object.fromEntries(names.map((name) => [name, text(name)])) },
      },
    });
    const first = await replicaOf(1).tokens.acquireToken({ claims: claimsOf("a", "b") });
    const second = await overHttp1.acquireToken({ claims: claimsOf("b", "a") });
    expect(second.secret).toBe(first.secret);
    const { verdict } = await replicaOf(2).tokens.verifyToken({ token: first.secret });
    expect(verdict).toBe(Verdict.VALID);
  });

  /** Callers that acquire without a pause at every replica, until they are stopped. */
  function underLoad(format = TokenFormat.OPAQUE) {
    const answers: Answer[] = [];
    let stopped = false;
    const loops = Array.from({ length: 12 }, async (_, n) => {
      while (!stopped) {
        const beganMs = performance.now();
        const { token } = await replicaOf(n).tokens.acquireToken({ format });
        const mintedMs = token?.createTime === undefined ? 0 : timestampMs(token.createTime);
        answers.push({ replica: n % replicas.length, beganMs, id: token?.id ?? "", mintedMs });
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

  const isAtAll = (answers: readonly Answer[], sinceMs: number, isIt: (answer: Answer) => boolean) =>
    replicas.every((_, n) =>
      answers.some((answer) => answer.replica === n && answer.beganMs > sinceMs && isIt(answer)),
    );

  it.each([
    ["WAIT_FLEET", Wait.FLEET, Propagation.FLEET, 0],
    ["WAIT_REPLICA, elsewhere beyond the bound", Wait.REPLICA, Propagation.REPLICA, BOUND_MS],
  ])(
    "give a revoked token to no call that began after the revocation was acknowledged with %s",
    async (_how, wait, propagation, elsewhereMs) => {
      await start(BOUND_MS);
      const load = underLoad();
      try {
        for (let round = 0; round < 3; round++) {
          const startMs = performance.now();
          await until(() => isAtAll(load.answers, startMs, () => true));
          const { token } = await replicaOf(round).tokens.acquireToken({});
          const id = token?.id ?? "";
          const revoked = await replicaOf(round).tokens.revokeToken({ target: { case: "tokenId", value: id }, wait });
          const ackMs = performance.now();
          expect(revoked.propagation).toBe(propagation);
          await until(() => isAtAll(load.answers, ackMs + elsewhereMs, (given) => given.id !== id));
          const late = load.answers.filter((answer) => {
            const graceMs = answer.replica === round % replicas.length ? 0 : elsewhereMs;
            return answer.id === id && answer.beganMs > ackMs + graceMs;
          });
          expect(late).toEqual([]);
          expect(load.answers.some((answer) => answer.id === id)).toBe(true);
        }
      } finally {
        await load.stop();
      }
      // One for each revocation and the first; replicas that raced for the first after a revocation shared it.
      expect(new Set(load.answers.map(({ id }) => id)).size).toBe(4);
    },
  );

  it.each([
    ["JWT that was revoked by its id", TokenFormat.JWT, "id"],
    ["JWT that its machine minted before a watermark", TokenFormat.JWT, "subject"],
    ["opaque token that its machine minted before a watermark", TokenFormat.OPAQUE, "subject"],
  ] as const)(
    "give no %s to a call that began after that was acknowledged for the fleet",
    async (_what, format, by) => {
      await start(BOUND_MS);
      const load = underLoad(format);
      try {
        for (let round = 0; round < 2; round++) {
          const startMs = performance.now();
          await until(() => isAtAll(load.answers, startMs, () => true));
          const { tokens, revocations } = replicaOf(round);
          const { token } = await tokens.acquireToken({ format });
          const id = token?.id ?? "";
          let isRefused = (given: Answer) => given.id === id;
          let ackMs = Number.POSITIVE_INFINITY;
          if (by === "id") {
            const target = { case: "tokenId", value: id } as const;
            const { propagation } = await tokens.revokeToken({ target, format, wait: Wait.FLEET });
            expect(propagation).toBe(Propagation.FLEET);
            ackMs = performance.now();
          } else {
            const now = timestampFromMs(Date.now());
            const subject = token?.subject ?? "";
            for await (const { event } of revocations.revokeSubject({ subject, issuedBefore: now, wait: Wait.FLEET })) {
              if (event.case !== "watermark" || event.value.issuedBefore === undefined) continue;
              expect(event.value.propagation).toBe(Propagation.FLEET);
              ackMs = performance.now();
              const beforeMs = timestampMs(event.value.issuedBefore);
              isRefused = (given) => given.mintedMs < beforeMs;
            }
          }
          expect(load.answers.some(isRefused)).toBe(true);
          await until(() => isAtAll(load.answers, ackMs, (given) => !isRefused(given)));
          expect(load.answers.filter((given) => given.beganMs > ackMs && isRefused(given))).toEqual([]);
        }
      } finally {
        await load.stop();
      }
    },
  );

  it("go on with what the upstream vouches for while Redis is away, and give no JWT then", async () => {
    await start(BOUND_MS);
    const { tokens } = replicaOf(0);
    await Promise.all([tokens.acquireToken({}), tokens.acquireToken({ format: TokenFormat.JWT })]);
    await redis.pause();
    try {
      await until(async () => {
        const status = await replicaOf(0).gateway.getStatus({});
        return Number(status.freshness?.staleness?.seconds) >= 2 * (BOUND_MS / 1_000);
      });
      const before = fixture.emulator.control.requests.total(CREATE);
      const held = await tokens.acquireToken({});
      expect(held.secret).not.toBe("");
      expect(fixture.emulator.control.requests.total(CREATE)).toBe(before + 1);
      expect(await failureOf(tokens.acquireToken({ format: TokenFormat.JWT }))).toMatchObject({
        code: "Unavailable",
        reason: "TOKEN_UNSURE",
      });
    } finally {
      await redis.resume();
    }
    await until(async () =>
      tokens.acquireToken({ format: TokenFormat.JWT }).then(
        () => true,
        () => false,
      ),
    );
  });
});
