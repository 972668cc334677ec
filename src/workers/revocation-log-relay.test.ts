import { describe, expect, it } from "vitest";
import { fact } from "../../test/contract/revocation-log.contract.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { channelPair } from "../../test/support/workers/channel-pair.ts";
import { type Cursor, startOf } from "../token/cursor.ts";
import type { LogEntry, LogRead, RevocationLog } from "../token/ports.ts";
import { LogMirror } from "./log-mirror.ts";
import { RelayedRevocationLog } from "./relayed-revocation-log.ts";
import { RevocationLogRelay } from "./revocation-log-relay.ts";

const NEVER = new AbortController().signal;
const BOUND_MS = 1_000;

interface HeldRead {
  readonly told: Cursor | undefined;
  /** Answers with the log as it was when the read began. */
  readonly answer: () => void;
  readonly fail: () => void;
}

/** A shared log whose reads are answered when the test says so, with what was in it when they began. */
class HeldLog implements RevocationLog {
  readonly shared = true;
  readonly #entries: LogEntry[] = [];
  readonly reads: HeldRead[] = [];
  #epoch = "e1";
  #last = 0;

  get head(): Cursor {
    return { epoch: this.#epoch, major: this.#last, minor: 0 };
  }

  async append(about: LogEntry["fact"]): Promise<Cursor> {
    this.#last += 1;
    this.#entries.push({ cursor: this.head, fact: about });
    return this.head;
  }

  startOver(): void {
    this.#epoch = "e2";
    this.#entries.length = 0;
    this.#last = 0;
  }

  read(told: Cursor | undefined): Promise<LogRead> {
    const restarted = told?.epoch !== this.#epoch;
    const from = restarted || told === undefined ? 0 : told.major;
    const read = { entries: this.#entries.filter(({ cursor }) => cursor.major > from), head: this.head, restarted };
    return new Promise((resolve, reject) => {
      this.reads.push({ told, answer: () => resolve(read), fail: () => reject(new Error("Redis is away")) });
    });
  }

  subscribe(): () => void {
    return () => undefined;
  }

  async awaitFleet(): Promise<readonly string[]> {
    return [];
  }

  async close(): Promise<void> {}
}

function host() {
  const clock = new FakeClock();
  const log = new HeldLog();
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const mirror = new LogMirror({ clock, minHoldMs: 3_600_000 });
  const relay = new RevocationLogRelay({ log, mirror, clock, boundMs: BOUND_MS, onError });
  const worker = (name: string) => {
    const [here, there] = channelPair();
    const exited = relay.attach(name, here);
    return { log: new RelayedRevocationLog({ channel: there, clock, readTimeoutMs: 10_000, onError }), exited, there };
  };
  /** The reads of the log that were begun, by what each told the fleet. */
  const told = () => log.reads.map(({ told: cursor }) => cursor);
  /** Lets the worker read, and the log answer, until it has its answer. */
  const follow = async (reader: RelayedRevocationLog, after: Cursor | undefined) => {
    const reading = reader.read(after, NEVER);
    await settle();
    log.reads.at(-1)?.answer();
    return await reading;
  };
  return { clock, log, relay, errors, worker, told, follow };
}

describe("a read that is shared", () => {
  it("answers no request that arrived after it began, for what was appended in between would be missing", async () => {
    const { log, worker } = host();
    const first = worker("h/1").log.read(undefined, NEVER);
    await settle();
    expect(log.reads).toHaveLength(1);

    const cursor = await log.append(fact(1));
    const second = worker("h/2").log.read(undefined, NEVER);
    await settle();
    // The read under way knows nothing of the entry. To answer the second with it would prove a contact that was none.
    log.reads[0]?.answer();
    expect((await first).entries).toEqual([]);
    await settle();
    expect(log.reads).toHaveLength(2);
    log.reads[1]?.answer();
    expect((await second).entries).toEqual([{ cursor, fact: fact(1) }]);
  });

  it("answers all that waited for it", async () => {
    const { log, worker } = host();
    const under = worker("h/1").log.read(undefined, NEVER);
    await settle();
    const waiting = ["h/2", "h/3", "h/4"].map((name) => worker(name).log.read(undefined, NEVER));
    await settle();
    log.reads[0]?.answer();
    await under;
    await settle();
    log.reads[1]?.answer();
    expect(await Promise.all(waiting)).toHaveLength(3);
    expect(log.reads).toHaveLength(2);
  });

  it("that fails, fails for all that it was to answer, and for nobody else", async () => {
    const { log, worker } = host();
    const first = worker("h/1").log.read(undefined, NEVER);
    await settle();
    const second = worker("h/2").log.read(undefined, NEVER);
    await settle();
    log.reads[0]?.fail();
    await expect(first).rejects.toThrow("Redis is away");
    await settle();
    log.reads[1]?.answer();
    expect((await second).restarted).toBe(true);
  });
});

describe("what the fleet is told", () => {
  it("is the least that any worker has applied", async () => {
    const { log, worker, told, follow } = host();
    const [a, b] = [worker("h/1"), worker("h/2")];
    for (const { log: reader } of [a, b]) await follow(reader, undefined);
    for (const { log: reader } of [a, b]) await follow(reader, startOf("e1"));
    const cursor = await log.append(fact(1));
    await follow(a.log, startOf("e1"));
    await follow(a.log, cursor);
    // Worker 1 has applied the entry; worker 2 decides from its caches without it.
    expect(told().at(-1)).toEqual(startOf("e1"));
    await follow(b.log, cursor);
    expect(told().at(-1)).toEqual(cursor);
  });

  it("is nothing while a worker has its first answer and has not said that it applied it", async () => {
    const { log, worker, told, follow } = host();
    const a = worker("h/1");
    await follow(a.log, undefined);
    const cursor = await log.append(fact(1));
    await follow(a.log, startOf("e1"));
    await follow(worker("h/2").log, undefined);
    await follow(a.log, cursor);
    expect(told().at(-1)).toBeUndefined();
  });

  it("does not wait for a worker that has never been answered: it cannot be using its caches", async () => {
    const { worker, told, follow } = host();
    const a = worker("h/1");
    worker("h/2");
    await follow(a.log, undefined);
    await follow(a.log, startOf("e1"));
    expect(told().at(-1)).toEqual(startOf("e1"));
  });

  it("counts a worker that fell silent for the bound, to the millisecond, and counts it again once it is answered", async () => {
    const { clock, log, worker, told, follow } = host();
    const [a, b] = [worker("h/1"), worker("h/2")];
    for (const { log: reader } of [a, b]) await follow(reader, undefined);
    for (const { log: reader } of [a, b]) await follow(reader, startOf("e1"));
    const cursor = await log.append(fact(1));
    clock.advance(BOUND_MS);
    await follow(a.log, cursor);
    expect(told().at(-1)).toEqual(startOf("e1"));
    clock.advance(1);
    await follow(a.log, cursor);
    expect(told().at(-1)).toEqual(cursor);

    expect((await follow(b.log, startOf("e1"))).entries).toEqual([{ cursor, fact: fact(1) }]);
    await follow(a.log, cursor);
    expect(told().at(-1)).toEqual(startOf("e1"));
  });

  it("counts a worker whose channel is silent until its process has ended", async () => {
    const { log, worker, told, follow } = host();
    const [a, b] = [worker("h/1"), worker("h/2")];
    for (const { log: reader } of [a, b]) await follow(reader, undefined);
    for (const { log: reader } of [a, b]) await follow(reader, startOf("e1"));
    const cursor = await log.append(fact(1));
    await follow(a.log, cursor);
    expect(told().at(-1)).toEqual(startOf("e1"));
    b.exited();
    await settle();
    expect(told().at(-1)).toEqual(cursor);
  });

  it("names no entry of an epoch that a worker has not entered", async () => {
    const { log, worker, told, follow } = host();
    const [a, b] = [worker("h/1"), worker("h/2")];
    for (const { log: reader } of [a, b]) await follow(reader, undefined);
    for (const { log: reader } of [a, b]) await follow(reader, startOf("e1"));
    log.startOver();
    expect((await follow(a.log, startOf("e1"))).restarted).toBe(true);
    await follow(a.log, startOf("e2"));
    expect(told().at(-1)).toEqual(startOf("e1"));
    expect(await follow(b.log, startOf("e1"))).toMatchObject({ restarted: true, head: startOf("e2") });
    await follow(b.log, startOf("e2"));
    expect(told().at(-1)).toEqual(startOf("e2"));
  });
});

describe("waiting for the fleet", () => {
  it("waits for a worker that is being answered without the entry, although another one fell silent", async () => {
    const { clock, log, worker, follow } = host();
    const a = worker("h/1");
    await follow(a.log, undefined);
    clock.advance(BOUND_MS + 1);
    const b = worker("h/2");
    const reading = b.log.read(undefined, NEVER);
    await settle();
    const cursor = await log.append(fact(1));
    let settled = false;
    const waiting = a.log.awaitFleet(cursor, NEVER).finally(() => {
      settled = true;
    });
    await settle();
    log.reads.at(-1)?.answer();
    await reading;
    await settle();
    expect(settled).toBe(false);
    const { head } = await follow(b.log, startOf("e1"));
    expect(settled).toBe(false);
    await follow(b.log, head);
    expect(await waiting).toEqual(["h/1"]);
  });
});

describe("messages", () => {
  it.each([
    null,
    "read",
    { kind: "read", id: "1", after: null },
    { kind: "read", id: 1, after: 5 },
    { kind: "append", id: 1, fact: "{}" },
    { kind: "await_fleet", id: 1, cursor: "x" },
  ])("that are no requests (%j) are reported and change nothing", async (message) => {
    const { worker, errors, log } = host();
    const { there } = worker("h/1");
    there.send(message as object);
    await settle();
    expect(errors).toHaveLength(1);
    expect(log.reads).toEqual([]);
  });

  it("a worker whose primary does not answer is told so", async () => {
    const clock = new FakeClock();
    const [, there] = channelPair();
    const log = new RelayedRevocationLog({ channel: there, clock, readTimeoutMs: 500, onError: () => undefined });
    const reading = log.read(undefined, NEVER);
    clock.advance(500);
    await expect(reading).rejects.toThrow("no answer within 500 ms");
  });
});
