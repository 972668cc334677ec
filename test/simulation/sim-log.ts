import type { Cursor } from "../../src/token/cursor.ts";
import type { LogEntry, LogRead, RevocationFact, RevocationLog } from "../../src/token/ports.ts";
import { BOUND_MS } from "./plan.ts";
import type { SimLink } from "./sim-link.ts";
import type { SimProcess } from "./sim-process.ts";
import type { SimRedis } from "./sim-redis.ts";

const TIMEOUT_MS = 400;
const FLEET_POLL_MS = 15;

/** The revocation log of one replica, over the simulated Redis. The commands run at the primary, each at one instant. */
export class SimLog implements RevocationLog {
  readonly shared = true;
  readonly #link: SimLink;
  readonly #redis: SimRedis;
  readonly #process: SimProcess;
  readonly #replica: string;

  constructor(replica: string, link: SimLink, redis: SimRedis, process: SimProcess) {
    this.#replica = replica;
    this.#link = link;
    this.#redis = redis;
    this.#process = process;
  }

  append(fact: RevocationFact, signal: AbortSignal): Promise<Cursor> {
    return this.#link.request(() => this.#append(fact), TIMEOUT_MS, signal);
  }

  read(after: Cursor | undefined, signal: AbortSignal): Promise<LogRead> {
    return this.#link.request(() => this.#read(after), TIMEOUT_MS, signal);
  }

  subscribe(onEntry: (entry: LogEntry) => void): () => void {
    return this.#link.subscribe(onEntry);
  }

  async awaitFleet(cursor: Cursor, signal: AbortSignal): Promise<readonly string[]> {
    for (;;) {
      const { waiting, unconfirmed } = await this.#link.request(() => this.#fleet(cursor), TIMEOUT_MS, signal);
      if (waiting === 0) return unconfirmed;
      await new Promise<void>((resolve) => this.#process.after(FLEET_POLL_MS, resolve));
    }
  }

  async close(): Promise<void> {}

  #append(fact: RevocationFact): Cursor {
    const epoch = this.#redis.ensureEpoch();
    const major = (this.#redis.data.facts.at(-1)?.major ?? 0) + 1;
    this.#redis.write((data) => data.facts.push({ major, fact }));
    const cursor = { epoch, major, minor: 0 };
    this.#redis.publish({ cursor, fact });
    return cursor;
  }

  #read(after: Cursor | undefined): LogRead {
    let epoch = this.#redis.ensureEpoch();
    const { facts } = this.#redis.data;
    // Nothing is trimmed within a history, so an entry that is missing was lost.
    if (after?.epoch === epoch && after.major > (facts.at(-1)?.major ?? 0)) epoch = this.#redis.newEpoch();
    const lease = { epoch: after?.epoch ?? "none", major: after?.major ?? 0, atMs: this.#redis.nowMs };
    this.#redis.write((data) => data.leases.set(this.#replica, lease));
    const restarted = after?.epoch !== epoch;
    const entries: LogEntry[] = [];
    for (const { major, fact } of facts) {
      if (restarted || major > after.major) entries.push({ cursor: { epoch, major, minor: 0 }, fact });
    }
    const epochAgeMs = this.#redis.nowMs - this.#redis.beganAtMs(epoch);
    return { entries, head: { epoch, major: facts.at(-1)?.major ?? 0, minor: 0 }, restarted, epochAgeMs };
  }

  /**
   * Who may still use a cache without having applied the entry: no contact for B means a suspended cache, and following the
   * present epoch means to have dropped whatever an older one said. While the epoch is younger than B there may be replicas
   * that had their contact with the log before it, and whose leases are lost.
   */
  #fleet(cursor: Cursor): { waiting: number; unconfirmed: string[] } {
    const { data, nowMs } = this.#redis;
    const present = this.#redis.ensureEpoch();
    let waiting = nowMs - this.#redis.beganAtMs(present) <= BOUND_MS ? 1 : 0;
    const unconfirmed: string[] = [];
    for (const [name, { epoch, major, atMs }] of data.leases) {
      if (epoch === present && (cursor.epoch !== present || major >= cursor.major)) continue;
      if (nowMs - atMs <= BOUND_MS) waiting += 1;
      else unconfirmed.push(name);
    }
    return { waiting, unconfirmed };
  }
}
