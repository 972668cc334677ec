import { describe, expect, it } from "vitest";
import { createDomain, type Domain, FlakyLog, MIN_HOLD_MS } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { BILLING, REPORTS, token, tokenId } from "../../test/support/tokens.ts";
import { MemoryRevocationLog } from "../memory/memory-revocation-log.ts";
import { factKeyOf } from "./facts.ts";
import type { MachineId } from "./token.ts";
import { type WatchEvent, type WatchOptions, watchRevocations } from "./watch.ts";

const HEARTBEAT_MS = 5_000;

/** Reads one stream as a subscriber would, so that tests can say "and then". */
class Subscriber {
  readonly controller = new AbortController();
  readonly drain = new AbortController();
  readonly #stream: AsyncGenerator<WatchEvent, never>;

  constructor(domain: Domain, overrides: Partial<WatchOptions> = {}) {
    this.#stream = watchRevocations({
      feed: domain.feed,
      revocations: domain.revocations,
      clock: domain.clock,
      after: undefined,
      subjects: new Set<MachineId>(),
      heartbeatMs: HEARTBEAT_MS,
      maxLag: 10,
      signal: this.controller.signal,
      drain: this.drain.signal,
      ...overrides,
    });
  }

  async next(): Promise<WatchEvent> {
    const { value } = await this.#stream.next();
    return value;
  }

  /** The events up to and with the first of a kind, each as its kind or as the number of its token. */
  async until(kind: WatchEvent["kind"]): Promise<(string | number)[]> {
    const seen: (string | number)[] = [];
    for (;;) {
      const event = await this.next();
      seen.push(event.kind === "revocation" ? Number.parseInt(factKeyOf(event.entry.fact).slice(3), 16) : event.kind);
      if (event.kind === kind) return seen;
    }
  }
}

async function revoke(domain: Domain, ...numbers: number[]): Promise<void> {
  for (const n of numbers) await domain.recorder.record(domain.recorder.factOf(token(n), "api"));
  await settle();
}

describe("watchRevocations", () => {
  it("begins with a snapshot and then follows the log", async () => {
    const domain = await createDomain();
    await revoke(domain, 1, 2);
    const subscriber = new Subscriber(domain);
    expect(await subscriber.until("snapshot_complete")).toEqual([1, 2, "snapshot_complete"]);
    const next = subscriber.next();
    await revoke(domain, 3);
    expect(await next).toMatchObject({ kind: "revocation", entry: { fact: { tokenId: tokenId(3) } } });
  });

  it("gives no cursor inside a snapshot, one at its end and one with every event after", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    const subscriber = new Subscriber(domain);
    expect((await subscriber.next()).resumeAt).toBeUndefined();
    expect(await subscriber.next()).toMatchObject({ kind: "snapshot_complete", size: 1, resumeAt: { major: 1 } });
    const next = subscriber.next();
    await revoke(domain, 2);
    expect((await next).resumeAt).toMatchObject({ major: 2 });
  });

  it("misses nothing that is recorded while it reads the snapshot", async () => {
    const domain = await createDomain();
    await revoke(domain, 1, 2);
    const subscriber = new Subscriber(domain);
    await subscriber.next();
    await revoke(domain, 3);
    expect(await subscriber.until("snapshot_complete")).toEqual([2, "snapshot_complete"]);
    expect(await subscriber.next()).toMatchObject({ entry: { fact: { tokenId: tokenId(3) } } });
  });

  it("resumes after any cursor without gap or repetition", async () => {
    const domain = await createDomain();
    await revoke(domain, ...Array.from({ length: 700 }, (_, n) => n));
    for (const cut of [0, 1, 255, 256, 257, 699]) {
      const after = domain.revocations.after({ ...domain.revocations.applied, major: cut }, 1)[0]?.cursor;
      const subscriber = new Subscriber(domain, { after: { ...domain.revocations.applied, major: cut } });
      expect((await subscriber.next()).kind).toBe("heartbeat");
      expect(after?.major).toBe(cut + 1);
      for (let n = cut; n < 700; n += 1) {
        expect(await subscriber.next()).toMatchObject({ entry: { fact: { tokenId: tokenId(n) } } });
      }
    }
  });

  it("says heartbeat when it resumes and whenever it has been silent for long enough", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    const subscriber = new Subscriber(domain, { after: domain.revocations.applied });
    expect(await subscriber.next()).toEqual({ kind: "heartbeat", resumeAt: domain.revocations.applied });
    const next = subscriber.next();
    await settle();
    domain.clock.advance(HEARTBEAT_MS);
    expect(await next).toEqual({ kind: "heartbeat", resumeAt: domain.revocations.applied });
  });

  it("stays audible to a subscriber whose filter lets nothing through", async () => {
    const domain = await createDomain();
    const subscriber = new Subscriber(domain, { subjects: new Set([REPORTS]) });
    await subscriber.until("snapshot_complete");
    const next = subscriber.next();
    for (let n = 0; n < 5; n += 1) {
      await revoke(domain, n);
      domain.clock.advance(HEARTBEAT_MS / 5);
      await settle();
    }
    const heartbeat = await next;
    expect(heartbeat).toEqual({ kind: "heartbeat", resumeAt: domain.revocations.applied });
  });

  it("passes the subjects asked for, and tokens whose machine is not known", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    await domain.recorder.record(domain.recorder.factOf(token(2, { subject: REPORTS }), "api"));
    await domain.recorder.record({ ...domain.recorder.factOf(token(3), "api"), subject: undefined });
    await settle();
    const subscriber = new Subscriber(domain, { subjects: new Set([REPORTS]) });
    expect(await subscriber.until("snapshot_complete")).toEqual([2, 3, "snapshot_complete"]);
    const other = new Subscriber(domain, { subjects: new Set([BILLING]) });
    expect(await other.until("snapshot_complete")).toEqual([1, 3, "snapshot_complete"]);
  });

  it("resets a subscriber whose cursor is of another log", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    const subscriber = new Subscriber(domain, { after: { epoch: "old", major: 7, minor: 0 } });
    expect(await subscriber.next()).toMatchObject({ kind: "reset", reason: "epoch_changed" });
    expect(await subscriber.until("snapshot_complete")).toEqual([1, "snapshot_complete"]);
  });

  it("resets a subscriber who was away for so long that revocations have been forgotten", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    const after = domain.revocations.applied;
    await domain.recorder.record(
      domain.recorder.factOf(token(2, { expiresAtMs: domain.clock.wallMs() + 1_000 }), "api"),
    );
    await settle();
    domain.clock.advance(MIN_HOLD_MS + 60_000);
    await revoke(domain, 3);
    const subscriber = new Subscriber(domain, { after });
    expect(await subscriber.next()).toMatchObject({ kind: "reset", reason: "too_old" });
    expect(await subscriber.until("snapshot_complete")).toEqual([1, 3, "snapshot_complete"]);
  });

  it("resets open streams when the log starts over, also in the middle of a snapshot", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    await revoke(domain, 1, 2);
    const live = new Subscriber(domain);
    await live.until("snapshot_complete");
    const next = live.next();
    const reading = new Subscriber(domain);
    await reading.next();
    const log = domain.log as FlakyLog;
    const fresh = new MemoryRevocationLog(() => domain.clock.wallMs());
    log.read = (after) => fresh.read(after);
    await domain.feed.refresh();
    expect(await next).toMatchObject({ kind: "reset", reason: "epoch_changed" });
    expect(await reading.until("reset")).toEqual([2, "reset"]);
    expect(await reading.until("snapshot_complete")).toEqual(["snapshot_complete"]);
  });
});

describe("watchRevocations, ending", () => {
  it("cuts a subscriber that stays too far behind, with the cursor to resume from", async () => {
    const domain = await createDomain();
    const subscriber = new Subscriber(domain, { maxLag: 10 });
    await subscriber.until("snapshot_complete");
    const next = subscriber.next();
    await revoke(domain, 1);
    await next;
    await revoke(domain, ...Array.from({ length: 12 }, (_, n) => n + 2));
    domain.clock.advance(HEARTBEAT_MS + 1);
    await expect(subscriber.next()).rejects.toMatchObject({
      reason: "SLOW_CONSUMER",
      facts: { cursor: expect.stringMatching(/\.1-0$/) },
    });
  });

  it("cuts nobody who is only slow, or only behind for a moment", async () => {
    const domain = await createDomain();
    const subscriber = new Subscriber(domain, { maxLag: 10 });
    await subscriber.until("snapshot_complete");
    const next = subscriber.next();
    await revoke(domain, ...Array.from({ length: 9 }, (_, n) => n));
    await next;
    for (let n = 1; n < 9; n += 1) {
      domain.clock.advance(2 * HEARTBEAT_MS);
      expect(await subscriber.next()).toMatchObject({ entry: { fact: { tokenId: tokenId(n) } } });
    }
  });

  it("does not cut one that reads, however large the burst that wakes it", async () => {
    const domain = await createDomain();
    const subscriber = new Subscriber(domain, { maxLag: 10 });
    await subscriber.until("snapshot_complete");
    const next = subscriber.next();
    await settle();
    const burst = Array.from({ length: 1_000 }, (_, n) => domain.recorder.factOf(token(n), "api"));
    await Promise.all(burst.map((fact) => domain.recorder.record(fact)));
    await next;
    for (let n = 1; n < 1_000; n += 1) {
      expect(await subscriber.next()).toMatchObject({ entry: { fact: { tokenId: tokenId(n) } } });
    }
  });

  it("ends with DRAINING and the cursor when the gateway goes away", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    const subscriber = new Subscriber(domain);
    await subscriber.until("snapshot_complete");
    const next = subscriber.next();
    await settle();
    subscriber.drain.abort();
    await expect(next).rejects.toMatchObject({
      reason: "DRAINING",
      facts: { cursor: expect.stringMatching(/1-0$/) },
    });
    expect(domain.clock.pendingTasks).toBe(0);
  });

  it("ends without a trace when the subscriber leaves", async () => {
    const domain = await createDomain();
    const subscriber = new Subscriber(domain);
    await subscriber.until("snapshot_complete");
    const next = subscriber.next();
    await settle();
    subscriber.controller.abort();
    await expect(next).rejects.toMatchObject({ reason: "CANCELED" });
    expect(domain.clock.pendingTasks).toBe(0);
  });

  it("ends at once when it was opened during the drain", async () => {
    const domain = await createDomain();
    await revoke(domain, 1);
    const subscriber = new Subscriber(domain);
    subscriber.drain.abort();
    expect((await subscriber.next()).kind).toBe("revocation");
    await expect(subscriber.next()).rejects.toMatchObject({ reason: "DRAINING" });
  });
});
