import { inspect } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { revocationsChannel } from "../../../src/redis/keys.ts";
import { systemClock } from "../../../src/system-clock.ts";
import type { LogEntry } from "../../../src/token/ports.ts";
import { fact } from "../../contract/revocation-log.contract.ts";
import { freePort, withClient } from "../../support/redis/redis-process.ts";
import { BOUND_MS, connectReplica, type RedisReplica } from "../../support/redis/redis-replica.ts";
import type { RedisFixture } from "../../support/redis/redis-server-fixture.ts";
import { ACL_PASSWORD } from "../../support/redis/single-server.ts";
import { type RedisKind, startBreakableRedis } from "../../support/redis/start-redis.ts";
import { secretOf, token } from "../../support/tokens.ts";

const NEVER = new AbortController().signal;
const replicas: RedisReplica[] = [];
const fixtures: RedisFixture[] = [];

afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.close();
  for (const fixture of fixtures.splice(0)) await fixture.stop();
});

async function start(kind: RedisKind): Promise<RedisFixture> {
  const fixture = await startBreakableRedis(kind);
  fixtures.push(fixture);
  return fixture;
}

function connect(...args: Parameters<typeof connectReplica>): RedisReplica {
  const replica = connectReplica(...args);
  replicas.push(replica);
  return replica;
}

function observation(n: number) {
  const observedAtMonotonicMs = systemClock.monotonicMs();
  return { token: token(n), observedAtMonotonicMs, observedAtMs: systemClock.wallMs(), uses: 0 };
}

describe("connecting to Redis", () => {
  it.each(["single-tls", "single-acl-unix"] as const)("does all that a gateway does on %s", async (kind) => {
    const { target } = await start(kind);
    const replica = connect(target, { verdictBudgetMs: 200 });
    const pushed: LogEntry[] = [];
    replica.log.subscribe((entry) => pushed.push(entry));
    await replica.log.read(undefined, NEVER);
    const cursor = await vi.waitFor(async () => {
      const appended = await replica.log.append(fact(1), NEVER);
      expect(pushed.length).toBeGreaterThan(0);
      return appended;
    }, 5_000);
    expect((await replica.log.read(undefined, NEVER)).head).toEqual(cursor);
    const following = setInterval(() => void replica.log.read(cursor, NEVER), 50);
    expect(await replica.log.awaitFleet(cursor, NEVER).finally(() => clearInterval(following))).toEqual([]);
    await vi.waitFor(async () => {
      replica.store.put(secretOf(1), "epoch1", observation(1));
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeDefined();
    }, 5_000);
    expect(await replica.store.claim(secretOf(1), 1_000)).toBe(true);
    expect(replica.events.filter(({ kind: event }) => event === "error")).toEqual([]);
  });

  it("starts without Redis: the log rejects within its timeout, the store misses, and both work once it is there", async () => {
    const port = await freePort();
    const replica = connect({ mode: "single", nodes: [{ host: "127.0.0.1", port }] });
    await expect(replica.log.read(undefined, NEVER)).rejects.toThrow("read: no answer within 250 ms");
    await expect(replica.log.append(fact(1), NEVER)).rejects.toThrow("append:");
    expect(await replica.store.get(secretOf(1), "epoch1")).toBeUndefined();
    expect(await replica.store.claim(secretOf(1), 1_000)).toBe(false);
    replica.store.put(secretOf(1), "epoch1", observation(1));
    expect(replica.events.every(({ kind }) => kind === "error")).toBe(true);
  });

  it("connects again by itself, and says what happened", async () => {
    const fixture = await start("single");
    const replica = connect(fixture.target);
    await replica.log.read(undefined, NEVER);
    await fixture.restartEmpty();
    const read = await vi.waitFor(() => replica.log.read(undefined, NEVER), 10_000);
    expect(read.restarted).toBe(true);
    const kinds = replica.events.map(({ kind }) => kind).filter((kind) => kind !== "error");
    expect(kinds).toEqual(["connected", "disconnected", "connected"]);
  });

  it("keeps the password out of everything that it reports", async () => {
    const { target } = await start("single-acl-unix");
    const wrong = `${ACL_PASSWORD}-wrong`;
    const replica = connect({ ...target, password: wrong });
    const error = await replica.log.read(undefined, NEVER).catch((cause: unknown) => cause);
    await vi.waitFor(() => expect(replica.events.length).toBeGreaterThan(0), 5_000);
    const told = inspect([error, replica.events], { depth: 10, showHidden: true });
    expect(told).toMatch(/WRONGPASS/);
    expect(told).not.toContain(ACL_PASSWORD);
  });
});

describe("a Redis that hangs", () => {
  it("costs a verification no more than the budget, and the next ones nothing", async () => {
    const fixture = await start("single");
    const replica = connect(fixture.target);
    await vi.waitFor(async () => {
      replica.store.put(secretOf(1), "epoch1", observation(1));
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeDefined();
    }, 5_000);
    await fixture.pause();
    const misses = Array.from({ length: 10_000 }, () => replica.store.get(secretOf(1), "epoch1"));
    expect((await Promise.all(misses)).every((found) => found === undefined)).toBe(true);
    replica.store.put(secretOf(2), "epoch1", observation(2));
    expect(await replica.store.claim(secretOf(1), 1_000)).toBe(false);
    await expect(replica.log.append(fact(1), NEVER)).rejects.toThrow(/append: /);
    await fixture.resume();
    await vi.waitFor(async () => expect(await replica.store.get(secretOf(1), "epoch1")).toBeDefined(), {
      timeout: 10_000,
      interval: 20,
    });
  });
});

describe("what others put into Redis", () => {
  it("does not stop the log: it is skipped and reported", async () => {
    const { target } = await start("single");
    const replica = connect(target);
    const pushed: LogEntry[] = [];
    replica.log.subscribe((entry) => pushed.push(entry));
    await replica.log.append(fact(1), NEVER);
    await withClient(addressOf(target), async (client) => {
      await client.xadd("{m2mgw}:log", "*", "e", '{"v":2}');
      await client.xadd("{m2mgw}:log", "*", "other", "field", "s", "here");
      await client.xadd("{m2mgw}:log", "*", "e", "not json \u0000");
      await vi.waitFor(async () => expect(await client.publish(revocationsChannel("m2mgw"), "{}")).toBe(1));
    });
    const last = await replica.log.append(fact(2), NEVER);
    const read = await replica.log.read(undefined, NEVER);
    expect(read.entries.map((entry) => entry.fact)).toEqual([fact(1), fact(2)]);
    expect(read.head).toEqual(last);
    await vi.waitFor(() => expect(pushed.at(-1)?.cursor).toEqual(last));
    const reports = replica.events.flatMap((event) => (event.kind === "error" ? [event.error.message] : []));
    expect(reports.filter((text) => /of the log is skipped/.test(text))).toHaveLength(3);
    expect(reports.filter((text) => /on the channel is skipped/.test(text))).toHaveLength(1);
  });

  it("is no verdict unless a gateway with the same key wrote it there, for as long as it did", async () => {
    const { target } = await start("single");
    const replica = connect(target, { verdictBudgetMs: 200 });
    await vi.waitFor(async () => {
      replica.store.put(secretOf(1), "epoch1", observation(1));
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeDefined();
    }, 5_000);
    await withClient(addressOf(target), async (client) => {
      const [key = ""] = await client.keys("m2mgw:v:*");
      const value = (await client.get(key)) ?? "";
      await client.set(key, value, "PX", 3_600_000);
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeUndefined();
      await client.set(key, value);
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeUndefined();
      await client.set(key, value.replace("billing", "reports"), "PX", 5_000);
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeUndefined();
      await client.set(key, value, "PX", 5_000);
      expect(await replica.store.get(secretOf(1), "epoch1")).toBeDefined();
    });
  });
});

describe("the log in Redis", () => {
  it("tells a reader whose next entries were trimmed to start over, and no other", async () => {
    const { target } = await start("single");
    const replica = connect(target);
    await withClient(addressOf(target), async (client) => {
      for (const id of ["1-0", "2-0"]) await client.xadd("{m2mgw}:log", id, "e", "{}");
    });
    const { head } = await replica.log.read(undefined, NEVER);
    expect(head).toMatchObject({ major: 2, minor: 0 });
    const cursor = await replica.log.append(fact(1), NEVER);
    const entries = [{ cursor, fact: fact(1) }];
    expect(await replica.log.read(head, NEVER)).toMatchObject({ entries, head: cursor, restarted: false });
    expect(await replica.log.read({ ...head, major: 1 }, NEVER)).toMatchObject({ entries, head: cursor, restarted: true });
  });

  it("is followed by push again after a subscription has died in silence", async () => {
    const { target } = await start("single");
    const replica = connect(target);
    const pushed: LogEntry[] = [];
    replica.log.subscribe((entry) => pushed.push(entry));
    const { head } = await replica.log.read(undefined, NEVER);
    await vi.waitFor(async () => {
      await replica.log.append(fact(1), NEVER);
      expect(pushed.length).toBeGreaterThan(0);
    }, 5_000);
    await withClient(addressOf(target), async (client) => {
      // The subscription is refused when it is renewed: what remains is a connection on which nothing happens.
      await client.call("ACL", "SETUSER", "default", "resetchannels");
      try {
        const before = pushed.length;
        const lost = await replica.log.append(fact(2), NEVER);
        expect(pushed).toHaveLength(before);
        expect((await replica.log.read(head, NEVER)).entries.at(-1)?.cursor).toEqual(lost);
      } finally {
        await client.call("ACL", "SETUSER", "default", "allchannels");
      }
    });
    await vi.waitFor(
      async () => {
        await replica.log.append(fact(3), NEVER);
        expect(pushed.map((entry) => entry.fact)).toContainEqual(fact(3));
      },
      { timeout: 10 * BOUND_MS, interval: 50 },
    );
  });
});

function addressOf({ nodes }: RedisFixture["target"]) {
  const [node] = "unixSocket" in nodes ? [] : nodes;
  if (node === undefined) throw new Error("the server has no address");
  return node;
}
