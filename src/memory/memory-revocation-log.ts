import { randomBytes } from "node:crypto";
import { type Cursor, compareCursors, startOf } from "../token/cursor.ts";
import { withoutCovered } from "../token/facts.ts";
import type { Fleet, LogEntry, LogRead, RevocationFact, RevocationLog } from "../token/ports.ts";

/**
 * The revocation log of a gateway that runs alone: as durable as the process. Entries are dropped when their facts need no
 * longer be remembered.
 */
export class MemoryRevocationLog implements RevocationLog {
  readonly shared = false;
  readonly #epoch = randomBytes(6).toString("hex");
  readonly #wallMs: () => number;
  readonly #listeners = new Set<(entry: LogEntry) => void>();
  #entries: LogEntry[] = [];
  #head: Cursor = startOf(this.#epoch);
  #trimAt = 1_024;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  get head(): Cursor {
    return this.#head;
  }

  async append(fact: RevocationFact): Promise<Cursor> {
    this.#head = { epoch: this.#epoch, major: this.#head.major + 1, minor: 0 };
    const entry = { cursor: this.#head, fact };
    this.#entries.push(entry);
    this.#trim();
    for (const listener of this.#listeners) listener(entry);
    return entry.cursor;
  }

  async read(after: Cursor | undefined): Promise<LogRead> {
    if (after === undefined || after.epoch !== this.#epoch) {
      return { entries: [...this.#entries], head: this.#head, restarted: true };
    }
    const first = this.#entries.findLastIndex((entry) => compareCursors(entry.cursor, after) <= 0) + 1;
    return { entries: this.#entries.slice(first), head: this.#head, restarted: false };
  }

  subscribe(onEntry: (entry: LogEntry) => void): () => void {
    this.#listeners.add(onEntry);
    return () => this.#listeners.delete(onEntry);
  }

  async awaitFleet(): Promise<readonly string[]> {
    return [];
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  /** Whenever it has doubled since the last time, so that the cost per append stays constant. */
  #trim(): void {
    if (this.#entries.length < this.#trimAt) return;
    const nowMs = this.#wallMs();
    const live = this.#entries.filter((entry) => entry.fact.rememberUntilMs > nowMs);
    this.#entries = withoutCovered(live, ({ fact }) => fact);
    this.#trimAt = Math.max(1_024, 2 * this.#entries.length);
  }
}

/** A gateway that runs alone, named `name`: it has read all there is at every instant. */
export function fleetOfOne(name: string, log: MemoryRevocationLog): Fleet {
  return { replicas: async () => [{ name, applied: log.head, silenceMs: 0 }] };
}
