import { setMaxListeners } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { factKeyOf } from "../../src/token/facts.ts";
import type { LogEntry, RevocationFact, RevocationLog } from "../../src/token/ports.ts";
import { BILLING, tokenId } from "../support/tokens.ts";

export interface LogHarness {
  /** An empty log, as the process of `replica` sees it. */
  open(replica: string): Promise<RevocationLog>;
  /** Between tests. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export interface LogTraits {
  /** Whether several processes share it. If not, `open` gives the same log to all, and it starts over with its process. */
  readonly shared: boolean;
  /** Loses everything in it, while its readers go on. Where that cannot happen, absent. */
  readonly lose?: () => Promise<void>;
}

const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** What the domain demands of a revocation log, wherever it is kept. */
export function describeRevocationLog(name: string, start: () => Promise<LogHarness>, traits: LogTraits): void {
  describe(`the revocation log in ${name}`, () => {
    let harness: LogHarness;
    beforeAll(async () => {
      harness = await start();
    });
    afterEach(() => harness.reset());
    afterAll(() => harness?.stop());
    const open = (replica = "a") => harness.open(replica);

    itKeepsEntries(open);
    itPushesEntries(open);
    if (traits.shared) itIsFollowedByAFleet(open);
    else itBelongsToOneProcess(open);
    if (traits.lose !== undefined) itStartsOver(open, traits.lose);
  });
}

type Open = (replica?: string) => Promise<RevocationLog>;

function itKeepsEntries(open: Open): void {
  it("returns what was appended, in order, after any cursor", async () => {
    const log = await open();
    const start = await log.read(undefined, NEVER);
    expect(start).toMatchObject({ entries: [], restarted: true });
    const first = await log.append(fact(1), NEVER);
    const second = await log.append(fact(2, { subject: undefined, reason: undefined, source: "observed" }), NEVER);
    const third = await log.append(fact(3, { reason: 'a "quoted" reason\nß 🔑' }), NEVER);

    const all = await log.read(start.head, NEVER);
    expect(all.restarted).toBe(false);
    expect(all.entries).toEqual([
      { cursor: first, fact: fact(1) },
      { cursor: second, fact: fact(2, { subject: undefined, reason: undefined, source: "observed" }) },
      { cursor: third, fact: fact(3, { reason: 'a "quoted" reason\nß 🔑' }) },
    ]);
    expect(all.head).toEqual(third);
    expect(await log.read(second, NEVER)).toMatchObject({ entries: [all.entries[2]], head: third, restarted: false });
    expect(await log.read(third, NEVER)).toMatchObject({ entries: [], head: third, restarted: false });
  });

  it("returns everything to who has read nothing or follows another log", async () => {
    const log = await open();
    const cursor = await log.append(fact(1), NEVER);
    const everything = { entries: [{ cursor, fact: fact(1) }], head: cursor, restarted: true };
    expect(await log.read(undefined, NEVER)).toMatchObject(everything);
    expect(await log.read({ epoch: "another", major: 9, minor: 9 }, NEVER)).toMatchObject(everything);
  });

  it("returns a long log whole and in order", async () => {
    const log = await open();
    const start = await log.read(undefined, NEVER);
    const numbers = Array.from({ length: 1_203 }, (_, index) => index);
    for (let at = 0; at < numbers.length; at += 50) {
      await Promise.all(numbers.slice(at, at + 50).map((n) => log.append(fact(n), NEVER)));
    }
    for (const after of [undefined, start.head]) {
      const read = await log.read(after, NEVER);
      expect(read.entries.map(({ fact }) => factKeyOf(fact))).toEqual(numbers.map(tokenId));
      expect(read.head).toEqual(read.entries.at(-1)?.cursor);
    }
  });

  it("takes the same fact twice", async () => {
    const log = await open();
    const once = await log.append(fact(1), NEVER);
    const twice = await log.append(fact(1), NEVER);
    expect(twice).not.toEqual(once);
    expect((await log.read(once, NEVER)).entries).toEqual([{ cursor: twice, fact: fact(1) }]);
  });
}

function itPushesEntries(open: Open): void {
  it("pushes what is appended to those who subscribe, until they stop", async () => {
    const log = await open("a");
    const other = await open("b");
    const pushed: LogEntry[] = [];
    const late: LogEntry[] = [];
    const stop = log.subscribe((entry) => pushed.push(entry));
    log.subscribe((entry) => late.push(entry));
    // A push may be lost, the first above all: whoever subscribes must not count on it.
    await vi.waitFor(async () => {
      await other.append(fact(1), NEVER);
      expect(pushed.length).toBeGreaterThan(0);
    }, 10_000);
    const cursor = await other.append(fact(2), NEVER);
    await vi.waitFor(() => expect(pushed).toContainEqual({ cursor, fact: fact(2) }), 5_000);

    stop();
    const count = pushed.length;
    const last = await other.append(fact(3), NEVER);
    await vi.waitFor(() => expect(late).toContainEqual({ cursor: last, fact: fact(3) }), 5_000);
    expect(pushed).toHaveLength(count);
  });
}

function itBelongsToOneProcess(open: Open): void {
  it("has nobody else to wait for", async () => {
    const log = await open();
    expect(log.shared).toBe(false);
    expect(await log.awaitFleet(await log.append(fact(1), NEVER), NEVER)).toEqual([]);
  });
}

function itIsFollowedByAFleet(open: Open): void {
  it("says that it is shared, and shows every process the same", async () => {
    const a = await open("a");
    const b = await open("b");
    const { head } = await b.read(undefined, NEVER);
    const cursor = await a.append(fact(1), NEVER);
    expect(a.shared).toBe(true);
    expect((await b.read(head, NEVER)).entries).toEqual([{ cursor, fact: fact(1) }]);
  });

  it("waits for a replica until it has applied the cursor", async () => {
    const a = await open("a");
    const b = await open("b");
    const start = await b.read(undefined, NEVER);
    await settledEpoch(a, b);
    await b.read(start.head, NEVER);
    const cursor = await a.append(fact(1), NEVER);
    await a.read(cursor, NEVER);

    const waiting = watch(a.awaitFleet(cursor, NEVER));
    await b.read(start.head, NEVER);
    expect(waiting.settled).toBe(false);
    await b.read(cursor, NEVER);
    expect(await waiting.promise).toEqual([]);
  });

  it("waits for a replica that has read the log and not yet said that it applied it", async () => {
    const a = await open("a");
    await settledEpoch(a);
    const cursor = await a.append(fact(1), NEVER);
    await a.read(cursor, NEVER);
    const b = await open("b");
    await b.read(undefined, NEVER);
    const waiting = watch(a.awaitFleet(cursor, NEVER));
    await a.read(cursor, NEVER);
    expect(waiting.settled).toBe(false);
    await b.read(cursor, NEVER);
    expect(await waiting.promise).toEqual([]);
  });

  it("names a replica that has been silent for the staleness bound", async () => {
    const a = await open("a");
    const b = await open("b");
    await b.read(undefined, NEVER);
    const cursor = await a.append(fact(1), NEVER);
    // The last of them may still be under way when the log is closed.
    const following = setInterval(() => void a.read(cursor, NEVER).catch(() => undefined), 50);
    try {
      expect(await a.awaitFleet(cursor, NEVER)).toEqual(["b"]);
    } finally {
      clearInterval(following);
    }
  });

  it("tells apart two processes of one name", async () => {
    const a = await open("a");
    const twin = await open("a");
    await settledEpoch(a, twin);
    const { head } = await twin.read(undefined, NEVER);
    await twin.read(head, NEVER);
    const cursor = await a.append(fact(1), NEVER);
    await a.read(cursor, NEVER);
    const waiting = watch(a.awaitFleet(cursor, NEVER));
    await a.read(cursor, NEVER);
    expect(waiting.settled).toBe(false);
    await twin.read(cursor, NEVER);
    expect(await waiting.promise).toEqual([]);
  });

  it("does not wait for a replica that was closed", async () => {
    const a = await open("a");
    const b = await open("b");
    await settledEpoch(a, b);
    await b.read(undefined, NEVER);
    const cursor = await a.append(fact(1), NEVER);
    await a.read(cursor, NEVER);
    await b.close();
    expect(await a.awaitFleet(cursor, NEVER)).toEqual([]);
  });

  it("gives up when its caller does", async () => {
    const log = await open();
    const gone = AbortSignal.abort();
    await expect(log.append(fact(1), gone)).rejects.toMatchObject({ reason: "CANCELED" });
    await expect(log.read(undefined, gone)).rejects.toMatchObject({ reason: "CANCELED" });
    const b = await open("b");
    await b.read(undefined, NEVER);
    const cursor = await log.append(fact(1), NEVER);
    const caller = new AbortController();
    const waiting = log.awaitFleet(cursor, caller.signal);
    caller.abort();
    await expect(waiting).rejects.toMatchObject({ reason: "CANCELED" });
  });
}

function itStartsOver(open: Open, lose: () => Promise<void>): void {
  it("begins a new epoch when entries were lost, and tells every reader so", async () => {
    const a = await open("a");
    const b = await open("b");
    const old = await a.append(fact(1), NEVER);
    expect((await b.read(undefined, NEVER)).head).toEqual(old);
    await lose();
    const read = await vi.waitFor(() => b.read(old, NEVER), 15_000);
    expect(read).toMatchObject({ entries: [], restarted: true });
    expect(read.head.epoch).not.toBe(old.epoch);

    const cursor = await a.append(fact(1), NEVER);
    expect(cursor.epoch).toBe(read.head.epoch);
    const both = await Promise.all([a.read(old, NEVER), b.read(read.head, NEVER)]);
    expect(both).toMatchObject([
      { restarted: true, entries: [{ cursor }] },
      { restarted: false, entries: [{ cursor }] },
    ]);
  });

  it("takes no replica for confirmed before those that it forgot must have stopped", async () => {
    const a = await open("a");
    const b = await open("b");
    await b.read((await b.read(undefined, NEVER)).head, NEVER);
    const startedAtMs = performance.now();
    await lose();
    const cursor = await vi.waitFor(() => a.append(fact(1), NEVER), 15_000);
    const bornAfterMs = performance.now() - startedAtMs;
    await a.awaitFleet(cursor, NEVER);
    // By the bound after the new epoch began, which was after the loss: b cannot have used its caches since.
    expect(performance.now() - startedAtMs).toBeGreaterThan(BOUND_FLOOR_MS);
    expect(bornAfterMs).toBeGreaterThan(0);
  });
}

/** The harnesses' bound, less what rounding to whole milliseconds takes away. */
const BOUND_FLOOR_MS = 990;

export function fact(n: number, overrides: Partial<RevocationFact> = {}): RevocationFact {
  return {
    tokenId: tokenId(n),
    subject: BILLING,
    reason: "leaked",
    revokedAtMs: 1_700_000_000_123,
    rememberUntilMs: 4_000_000_000_456,
    source: "api",
    origin: "replica-1",
    ...overrides,
  };
}

/** Until it is known of whom the fleet consists, everyone is waited for. */
async function settledEpoch(log: RevocationLog, ...others: RevocationLog[]): Promise<void> {
  const heads = [];
  for (const each of [log, ...others]) heads.push((await each.read(undefined, NEVER)).head);
  const head = heads.at(-1);
  if (head === undefined) throw new Error("nobody reads the log");
  for (const each of [log, ...others]) await each.read(head, NEVER);
  const following = setInterval(() => {
    for (const each of [log, ...others]) void each.read(head, NEVER);
  }, 50);
  await log.awaitFleet(head, NEVER).finally(() => clearInterval(following));
}

function watch<T>(promise: Promise<T>): { readonly promise: Promise<T>; readonly settled: boolean } {
  const state = { promise, settled: false };
  promise.then(
    () => {
      state.settled = true;
    },
    () => {
      state.settled = true;
    },
  );
  return state;
}
