import { describe, expect, it } from "vitest";
import { BOUND_MS, createDomain, FlakyLog } from "../../test/support/domain.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { token, tokenId } from "../../test/support/tokens.ts";
import { MemoryRevocationLog } from "../memory/memory-revocation-log.ts";
import { factKeyOf } from "./facts.ts";
import type { LogRead } from "./ports.ts";

async function sharedDomain() {
  const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
  return { ...domain, log: domain.log as FlakyLog };
}

describe("RevocationFeed", () => {
  it("replays what the log held before it started", async () => {
    const clock = new FakeClock();
    const log = new MemoryRevocationLog(() => clock.wallMs());
    const first = await createDomain({ clock, log: () => log });
    for (const n of [1, 2, 3]) await first.recorder.record(first.recorder.factOf(token(n), "api"));
    const second = await createDomain({ clock, log: () => log });
    expect([1, 2, 3].every((n) => second.revocations.find(tokenId(n)) !== undefined)).toBe(true);
    expect(second.revocations.applied).toEqual(first.revocations.applied);
  });

  it("is fresh at every instant when nobody else appends to the log", async () => {
    const { feed, clock } = await createDomain();
    clock.advance(1_000_000);
    expect(feed.stalenessMs(clock.monotonicMs())).toBe(0);
    expect(feed.isFresh(clock.monotonicMs())).toBe(true);
  });

  it("times revocations from their making to their application, and leaves out what it replays", async () => {
    const { feed, log, clock, recorder } = await sharedDomain();
    log.pushes = false;
    await log.append(recorder.factOf(token(1), "api"));
    clock.advance(40);
    await log.append(recorder.factOf(token(2), "api"));
    await feed.refresh();
    expect(feed.lag.counts.reduce((sum, count) => sum + count)).toBe(2);
    expect(feed.lag.sumMs).toBe(40);

    const later = await createDomain({ clock, log: () => log });
    expect(later.revocations.find(tokenId(1))).toBeDefined();
    expect(later.feed.lag.sumMs).toBe(0);
  });

  it("counts the reads of the log that succeeded and those that did not", async () => {
    const { feed, log } = await sharedDomain();
    const { reads } = feed;
    await feed.refresh();
    log.reachable = false;
    await feed.refresh();
    expect([feed.reads - reads, feed.failedReads]).toEqual([1, 1]);
  });

  it("counts contact from the start of the read, not from its end", async () => {
    const { feed, clock, log } = await sharedDomain();
    let release: (read: LogRead) => void = () => undefined;
    const answer = await log.read(undefined);
    log.read = () => new Promise((resolve) => (release = resolve));
    const reading = feed.refresh();
    const slowMs = Math.floor(BOUND_MS / 3) - 1;
    clock.advance(slowMs);
    release({ ...answer, restarted: false });
    await reading;
    expect(feed.stalenessMs(clock.monotonicMs())).toBe(slowMs);
  });

  it("refuses a token as soon as the push arrives, before it has read the log", async () => {
    const { revocations, log, recorder } = await sharedDomain();
    const fact = recorder.factOf(token(1), "api");
    void log.append(fact);
    expect(revocations.find(tokenId(1))).toEqual(fact);
  });

  it("finds what no push announced at the next poll, three times per bound", async () => {
    const { revocations, log, clock, recorder, feed } = await sharedDomain();
    log.pushes = false;
    await log.append(recorder.factOf(token(1), "api"));
    expect(revocations.find(tokenId(1))).toBeUndefined();
    clock.advance(BOUND_MS / 3);
    await settle();
    expect(revocations.find(tokenId(1))).toBeDefined();
    const before = log.reads;
    for (let third = 0; third < 3; third += 1) {
      clock.advance(BOUND_MS / 3);
      await settle();
    }
    expect(log.reads - before).toBe(3);
    await feed.close();
    expect(clock.pendingTasks).toBe(0);
  });

  it("goes on after failed reads, and reports each", async () => {
    const { log, clock, errors, feed } = await sharedDomain();
    log.reachable = false;
    for (let third = 0; third < 6; third += 1) {
      clock.advance(BOUND_MS / 3);
      await settle();
    }
    expect(errors).toHaveLength(6);
    expect(feed.isFresh(clock.monotonicMs())).toBe(false);
    log.reachable = true;
    clock.advance(BOUND_MS / 3);
    await settle();
    expect(feed.isFresh(clock.monotonicMs())).toBe(true);
  });

  it("wakes thousands of listeners a few at a time, each once", async () => {
    const { feed, recorder, clock } = await createDomain();
    let woken = 0;
    for (let n = 0; n < 1_000; n += 1) feed.listen(() => (woken += 1));
    await recorder.record(recorder.factOf(token(1), "api"));
    await settle();
    expect(woken).toBeGreaterThan(0);
    expect(woken).toBeLessThan(1_000);
    clock.advance(0);
    expect(woken).toBe(1_000);
  });

  it("is not fresh before the first successful read", async () => {
    const domain = await createDomain({
      log: (clock) => {
        const log = new FlakyLog(clock);
        log.reachable = false;
        return log;
      },
    });
    expect(domain.feed.stalenessMs(domain.clock.monotonicMs())).toBe(Number.POSITIVE_INFINITY);
    expect(domain.feed.isFresh(domain.clock.monotonicMs())).toBe(false);
  });

  it("keeps its facts when the log starts over, and appends those that the new log lacks", async () => {
    const { feed, revocations, recorder, log, clock } = await sharedDomain();
    for (const n of [1, 2]) await recorder.record(recorder.factOf(token(n), "api"));
    await settle();
    const fresh = new MemoryRevocationLog(() => clock.wallMs());
    await fresh.append(recorder.factOf(token(2), "api"));
    log.read = (after) => fresh.read(after);
    log.append = (fact) => fresh.append(fact);
    await feed.refresh();
    expect([1, 2].every((n) => revocations.find(tokenId(n)) !== undefined)).toBe(true);
    clock.advance(0);
    await settle();
    await feed.refresh();
    expect((await fresh.read(undefined)).entries.map(({ fact }) => factKeyOf(fact))).toEqual([tokenId(2), tokenId(1)]);
    expect(revocations.unrecorded()).toEqual([]);
    expect(revocations.after({ ...revocations.applied, major: 0 }, 10)).toHaveLength(2);
  });
});

describe("who waits for a cursor", () => {
  const { signal } = new AbortController();

  it("does not wait for what has been applied, and not past what comes before it", async () => {
    const { feed, log, recorder, revocations } = await sharedDomain();
    log.pushes = false;
    const [first, second] = [
      await log.append(recorder.factOf(token(1), "api")),
      await log.append(recorder.factOf(token(2), "api")),
    ];
    let isReached = false;
    const reached = feed.waitFor(second, BOUND_MS, signal).then(() => {
      isReached = true;
    });
    revocations.apply({ cursor: first, fact: recorder.factOf(token(1), "api") });
    await feed.waitFor(first, BOUND_MS, AbortSignal.abort());
    expect(isReached).toBe(false);
    await feed.refresh();
    await reached;
  });

  it("is told when it takes too long, and when it leaves", async () => {
    const { feed, log, clock, recorder } = await sharedDomain();
    log.pushes = false;
    const cursor = await log.append(recorder.factOf(token(1), "api"));
    await expect(feed.waitFor(cursor, BOUND_MS, AbortSignal.abort())).rejects.toMatchObject({ reason: "CANCELED" });
    log.reachable = false;
    const late = feed.waitFor(cursor, BOUND_MS / 2, signal);
    const leaving = new AbortController();
    const left = feed.waitFor(cursor, BOUND_MS, leaving.signal);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ reason: "CANCELED" });
    clock.advance(BOUND_MS / 2);
    await expect(late).rejects.toMatchObject({ reason: "CURSOR_NOT_REACHED" });
  });
});
