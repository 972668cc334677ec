import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { formatCursor } from "../../../src/token/cursor.ts";
import type { TokenSecret } from "../../../src/token/token.ts";
import { Fleet, type FleetMember } from "../../support/redis/fleet.ts";
import { withClient } from "../../support/redis/redis-process.ts";
import { BOUND_MS } from "../../support/redis/redis-replica.ts";
import type { RedisFixture } from "../../support/redis/redis-server-fixture.ts";
import { startBreakableRedis } from "../../support/redis/start-redis.ts";
import { secretOf, tokenId } from "../../support/tokens.ts";

let redis: RedisFixture;
let fleet: Fleet;

beforeAll(async () => {
  redis = await startBreakableRedis("single");
});
beforeEach(async () => {
  await redis.flushAll();
  fleet = new Fleet(redis);
});
afterEach(() => fleet.close());
afterAll(() => redis?.stop());

async function startTwo() {
  const a = await fleet.add("a");
  const b = await fleet.add("b");
  await vi.waitFor(() => expect([a.isFresh(), b.isFresh()]).toEqual([true, true]), 10_000);
  // A log that has just begun does not know its readers yet, and waits for the bound instead.
  await a.redis.log.awaitFleet(a.revocations.applied, new AbortController().signal);
  return { a, b };
}

/** Nobody waits for a verdict to be written. */
async function untilShared({ redis: { store }, revocations }: FleetMember, secret: TokenSecret) {
  await vi.waitFor(async () => expect(await store.get(secret, revocations.applied.epoch)).toBeDefined(), 5_000);
}

function serverAddress() {
  const { nodes } = redis.target;
  const [node] = "unixSocket" in nodes ? [] : nodes;
  if (node === undefined) throw new Error("the server has no address");
  return node;
}

describe("two replicas on one Redis", () => {
  it("refuse at one what was revoked at the other", async () => {
    const { a, b } = await startTwo();
    expect(await b.verify(secretOf(1))).toMatchObject({ verdict: "valid" });
    expect(await b.verify(secretOf(1))).toMatchObject({ verdict: "valid", source: "memory" });
    await a.revoke(tokenId(1));
    await vi.waitFor(
      async () => expect(await b.verify(secretOf(1))).toMatchObject({ verdict: "revoked", source: "fact" }),
      BOUND_MS,
    );
  });

  it("refuse everywhere, at once, after a revocation that waited for the fleet", async () => {
    const { a, b } = await startTwo();
    for (let n = 1; n <= 20; n += 1) {
      await b.verify(secretOf(n));
      expect(await a.revoke(tokenId(n), "fleet")).toMatchObject({ propagation: "fleet", unconfirmed: [] });
      expect(await b.verify(secretOf(n))).toMatchObject({ verdict: "revoked", source: "fact" });
    }
  });

  it("share verdicts, which keep the age that they had", async () => {
    const { a, b } = await startTwo();
    let n = 100;
    // The age is known to a few milliseconds, and what was observed before the log was first read does not count: at the
    // very start a shared verdict may seem to be from before.
    await vi.waitFor(async () => {
      n += 1;
      const observed = await a.verify(secretOf(n));
      await untilShared(a, secretOf(n));
      const first = await b.verify(secretOf(n));
      expect(first).toMatchObject({ verdict: "valid", source: "redis", token: { claims: { n } } });
      expect(first.observedAtMs).toBeLessThanOrEqual((observed.observedAtMs ?? 0) + 1);
      const promoted = await b.verify(secretOf(n));
      expect(promoted).toMatchObject({ verdict: "valid", source: "memory", observedAtMs: first.observedAtMs });
    }, 5_000);
  });

  it("name a replica that is cut off, which then cannot accept the token from its cache", async () => {
    const { a, b } = await startTwo();
    await b.verify(secretOf(3));
    b.log.cut = true;
    // So that its lease ends before the call does; else the call could not tell who it was.
    await vi.waitFor(() => expect(b.feed.stalenessMs(performance.now())).toBeGreaterThan(BOUND_MS / 2), 5_000);
    expect(await a.revoke(tokenId(3), "fleet")).toMatchObject({ propagation: "fleet", unconfirmed: ["b"] });
    expect(await b.verify(secretOf(3))).toMatchObject({ verdict: "revoked", source: "upstream" });
  });

  it("offer again what a flushed Redis has lost, and use no verdict from before", async () => {
    const { a, b } = await startTwo();
    await a.revoke(tokenId(4), "fleet");
    await b.verify(secretOf(5));
    const { epoch } = b.revocations.applied;
    await redis.flushAll();
    await vi.waitFor(async () => {
      const newcomer = await fleet.add("c");
      expect(newcomer.revocations.find(tokenId(4))).toBeDefined();
      expect(b.revocations.applied.epoch).not.toBe(epoch);
    }, 10_000);
    expect(await b.verify(secretOf(5))).toMatchObject({ verdict: "valid", source: "upstream" });
  });

  it("offer again what a Redis that came back empty has lost", async () => {
    const { a, b } = await startTwo();
    await a.revoke(tokenId(6), "fleet");
    await redis.restartEmpty();
    await vi.waitFor(async () => {
      const newcomer = await fleet.add("c");
      expect(newcomer.revocations.find(tokenId(6))).toBeDefined();
    }, 10_000);
    expect([a.isFresh(), b.isFresh()]).toEqual([true, true]);
  });

  it("ask the upstream while Redis hangs, and catch up when it goes on", async () => {
    const { a, b } = await startTwo();
    await b.verify(secretOf(7));
    await b.verify(secretOf(8));
    await redis.pause();
    try {
      await expect(a.revoke(tokenId(7))).rejects.toMatchObject({ reason: "REVOKED_NOT_BROADCAST" });
      expect(await a.verify(secretOf(7))).toMatchObject({ verdict: "revoked" });
      await vi.waitFor(() => expect(b.isFresh()).toBe(false), 5_000);
      expect(await b.verify(secretOf(7))).toMatchObject({ verdict: "revoked", source: "upstream" });
      expect(await b.verify(secretOf(8))).toMatchObject({ verdict: "valid", source: "upstream" });
    } finally {
      await redis.resume();
    }
    await vi.waitFor(() => expect([a.isFresh(), b.isFresh()]).toEqual([true, true]), 10_000);
    await vi.waitFor(() => expect(a.recorder.pendingCount + b.recorder.pendingCount).toBe(0), 10_000);
    await vi.waitFor(() => expect(b.recordedAt(tokenId(7))).toBeDefined(), 5_000);
  });
});

describe("what is in Redis", () => {
  it("is published as the documented JSON to anyone who subscribes", async () => {
    const { a } = await startTwo();
    const subscriber = new Redis({ ...serverAddress() });
    try {
      const messages: string[] = [];
      subscriber.on("message", (_channel, text) => messages.push(text));
      await subscriber.subscribe("m2mgw:revocations");
      const { cursor, fact } = await a.revoke(tokenId(9));
      await vi.waitFor(() => expect(messages).toHaveLength(1));
      expect(JSON.parse(messages[0] ?? "")).toEqual({
        cursor: formatCursor(cursor),
        v: 1,
        token_id: tokenId(9),
        subject: "mch_billing00000000000000000000",
        reason: "test",
        revoke_time: new Date(fact.revokedAtMs).toISOString(),
        remember_until_time: new Date(fact.rememberUntilMs).toISOString(),
        source: "api",
        origin: "a",
      });
    } finally {
      subscriber.disconnect();
    }
  });

  it("holds no secret, in no key and in no value", async () => {
    const { a, b } = await startTwo();
    const secret = secretOf(10);
    await a.verify(secret);
    await untilShared(a, secret);
    expect(await b.verify(secret)).toMatchObject({ source: "redis" });
    await a.redis.store.claim(secret, 60_000);
    await a.revoke(tokenId(11), "fleet");
    const dump = await withClient(serverAddress(), dumpAll);
    expect(dump).toContain("m2mgw:v:");
    expect(dump).toContain("m2mgw:c:");
    expect(dump).toContain(tokenId(11));
    expect(dump).not.toContain("mt_secret");
    expect(dump).not.toContain(Buffer.from(secret).toString("base64").replace(/=+$/, ""));
    expect(dump).not.toContain(Buffer.from(secret).toString("hex"));
    expect(dump).not.toContain("scripted");
  });
});

async function dumpAll(client: Redis): Promise<string> {
  const lines: string[] = [];
  for (const key of await client.keys("*")) {
    const read = { string: "GET", hash: "HGETALL", stream: "XRANGE" }[await client.type(key)] ?? "TYPE";
    const value = await client.call(read, key, ...(read === "XRANGE" ? ["-", "+"] : []));
    lines.push(`${key} ${JSON.stringify(value)}`);
  }
  return lines.join("\n");
}
