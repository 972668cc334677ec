import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { closeClient, openClient, type Purpose } from "../../../src/redis/connection.ts";
import type { Verification } from "../../../src/token/verification.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { Fleet } from "../../support/redis/fleet.ts";
import { BOUND_MS, replicaOptions } from "../../support/redis/redis-replica.ts";
import type { SentinelFixture } from "../../support/redis/redis-server-fixture.ts";
import { startRedis } from "../../support/redis/start-redis.ts";
import { secretOf, tokenId } from "../../support/tokens.ts";

let redis: SentinelFixture;
let fleet: Fleet;

beforeAll(async () => {
  redis = await startRedis("sentinel");
  fleet = new Fleet(redis);
});
afterAll(async () => {
  await fleet?.close();
  await redis?.stop();
});

interface Answer extends Verification {
  readonly askedAtMs: number;
}

describe("a failover that loses an acknowledged revocation", () => {
  it("lets no replica accept the token beyond the bound, and puts the revocation back", async () => {
    const a = await fleet.add("a");
    const b = await fleet.add("b");
    await vi.waitFor(() => expect([a.isFresh(), b.isFresh()]).toEqual([true, true]), 10_000);
    await b.verify(secretOf(1));
    const before = b.revocations.applied.epoch;

    // The next primary hears nothing any more, nor does b: only the old primary and a know of the revocation.
    await redis.cutReplication();
    b.log.cut = true;
    const { cursor } = await a.revoke(tokenId(1));
    const acknowledgedAtMs = performance.now();
    const answers: Answer[] = [];
    const client = verifyAllTheTime(() => b.verify(secretOf(1)), answers);
    await redis.failover();
    b.log.cut = false;

    await vi.waitFor(() => expect([a.isFresh(), b.isFresh()]).toEqual([true, true]), 20_000);
    await vi.waitFor(() => expect(b.recordedAt(tokenId(1))).toBeDefined(), 10_000);
    await client.stop();
    expect(b.revocations.applied.epoch).not.toBe(before);
    expect(b.recordedAt(tokenId(1))?.epoch).not.toBe(cursor.epoch);
    const accepted = answers.filter(({ verdict }) => verdict === "valid");
    expect(accepted.filter(({ askedAtMs }) => askedAtMs > acknowledgedAtMs + BOUND_MS)).toEqual([]);
    expect(answers.at(-1)).toMatchObject({ verdict: "revoked" });

    const newcomer = await fleet.add("c");
    await vi.waitFor(() => expect(newcomer.revocations.find(tokenId(1))).toBeDefined(), 10_000);
  });
});

describe("a client that is cut while it connects", () => {
  async function cut(purpose: Purpose) {
    const clock = new FakeClock();
    const client = openClient({ ...replicaOptions(redis.target), clock }, purpose);
    await next(client, "ready");
    const ended = next(client, "end");
    client.once("connecting", () => {
      // As the library does when a sentinel tells of a new primary.
      setImmediate(() => Reflect.get(client, "connector").disconnect());
    });
    client.disconnect(true);
    await ended;
    return { client, clock };
  }

  it.each(["commands", "subscription"] as const)("connects again for %s", async (purpose) => {
    const { client, clock } = await cut(purpose);
    const ready = next(client, "ready");
    clock.advance(1_000);
    await ready;
    const over = next(client, "end");
    await closeClient(client);
    await over;
    expect(clock.pendingTasks).toBe(0);
  });

  it("does not once it is closed", async () => {
    const { client, clock } = await cut("commands");
    await closeClient(client);
    clock.advance(1_000);
    expect(client.status).toBe("end");
  });
});

/** Not `once` of node:events, which errors reject. */
function next(client: ReturnType<typeof openClient>, event: string): Promise<void> {
  return new Promise((resolve) => client.once(event, () => resolve()));
}

function verifyAllTheTime(verify: () => Promise<Verification>, answers: Answer[]) {
  let stopped = false;
  const run = async () => {
    while (!stopped) {
      const askedAtMs = performance.now();
      answers.push({ ...(await verify()), askedAtMs });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const running = run();
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}
