import { type Cursor, compareCursors, startOf } from "./cursor.ts";
import type { Clock, LogEntry, RevocationFact } from "./ports.ts";
import type { Token, TokenId } from "./token.ts";

export type ResumeResult = "ok" | "ahead" | "too_old" | "epoch_changed";

export interface RevocationsOptions {
  readonly clock: Clock;
  /**
   * A fact is held at least this long after this process learned it, by the monotonic clock, whatever the wall clock
   * says. Must exceed the longest life of a verdict that the fact could contradict: TTL, upstream timeout and slack.
   */
  readonly minHoldMs: number;
}

interface HeldFact {
  readonly fact: RevocationFact;
  readonly heldSinceMs: number;
}

/** How often, at most, the facts are searched for ones that need no longer be remembered. */
const FORGET_INTERVAL_MS = 30_000;

/**
 * All live revocation facts, in memory: the last check of every verdict, and the history that watchers resume from. Facts
 * leave only when their time to be remembered has passed: never for lack of room.
 */
export class Revocations {
  readonly #clock: Clock;
  readonly #minHoldMs: number;
  readonly #held = new Map<TokenId, HeldFact>();
  /** The facts that the log holds, in its order, and where each one is. */
  #recorded: LogEntry[] = [];
  readonly #recordedAt = new Map<TokenId, Cursor>();
  #applied: Cursor = startOf("none");
  /** Facts up to here may have been forgotten. */
  #forgottenUpTo: Cursor | undefined;
  #forgetAtMs = 0;
  #edition: object = {};

  constructor(options: RevocationsOptions) {
    this.#clock = options.clock;
    this.#minHoldMs = options.minHoldMs;
  }

  find(id: TokenId): RevocationFact | undefined {
    return this.#held.get(id)?.fact;
  }

  /** The fact, of whatever kind, that makes a token refused. */
  findFor(token: Token): RevocationFact | undefined {
    return this.find(token.id);
  }

  /**
   * Another object after every fact learned, and of another process never the same: a token about which one edition held
   * no fact has none as long as the edition is the same.
   */
  get edition(): object {
    return this.#edition;
  }

  /** Whether the fact about a token must still be remembered. */
  holds(id: TokenId): boolean {
    this.#forgetOccasionally();
    return this.#held.has(id);
  }

  /** Where the log, as far as it was read, holds the fact about a token. */
  recordedAt(id: TokenId): Cursor | undefined {
    return this.#recordedAt.get(id);
  }

  /** Refuses the token from now on, before the log has (or without its having) recorded the fact. */
  learn(fact: RevocationFact): void {
    const held = this.#held.get(fact.tokenId);
    if (held !== undefined && held.fact.rememberUntilMs >= fact.rememberUntilMs) return;
    this.#held.set(fact.tokenId, { fact, heldSinceMs: held?.heldSinceMs ?? this.#clock.monotonicMs() });
    this.#edition = {};
  }

  /** Applies the next entry of the log. True when it told something that the log had not told before. */
  apply(entry: LogEntry): boolean {
    if (this.#isApplied(entry.cursor)) return false;
    this.#applied = entry.cursor;
    this.learn(entry.fact);
    if (this.#recordedAt.has(entry.fact.tokenId)) return false;
    this.#recordedAt.set(entry.fact.tokenId, entry.cursor);
    this.#recorded.push(entry);
    this.#forgetOccasionally();
    return true;
  }

  /** The log ends at `head`, and everything before it has been applied. */
  advance(head: Cursor): void {
    if (!this.#isApplied(head)) this.#applied = head;
  }

  /** The log starts over, in another epoch or with entries lost: its history is void, but what it told stays true. */
  restart(epoch: string): void {
    this.#recorded = [];
    this.#recordedAt.clear();
    this.#applied = startOf(epoch);
    this.#forgottenUpTo = undefined;
  }

  /** The live facts that the log, as far as it was read, does not hold. */
  unrecorded(): RevocationFact[] {
    const facts: RevocationFact[] = [];
    for (const [id, { fact }] of this.#held) if (!this.#recordedAt.has(id)) facts.push(fact);
    return facts;
  }

  /** How far the log has been applied. */
  get applied(): Cursor {
    return this.#applied;
  }

  get liveCount(): number {
    this.#forgetOccasionally();
    return this.#held.size;
  }

  /** Whether everything after `cursor` is still here; `ahead` when the log has not been applied that far. */
  canResume(cursor: Cursor): ResumeResult {
    if (cursor.epoch !== this.#applied.epoch) return "epoch_changed";
    if (compareCursors(cursor, this.#applied) > 0) return "ahead";
    const forgotten = this.#forgottenUpTo;
    return forgotten !== undefined && compareCursors(cursor, forgotten) < 0 ? "too_old" : "ok";
  }

  /** Up to `limit` recorded facts after `cursor` (of this epoch), in the log's order. */
  after(cursor: Cursor, limit: number): readonly LogEntry[] {
    this.#forgetOccasionally();
    const start = this.#indexAfter(cursor);
    return this.#recorded.slice(start, start + limit);
  }

  /** How many recorded facts there are after `cursor` (of this epoch). */
  countAfter(cursor: Cursor): number {
    return this.#recorded.length - this.#indexAfter(cursor);
  }

  #isApplied(cursor: Cursor): boolean {
    return cursor.epoch === this.#applied.epoch && compareCursors(cursor, this.#applied) <= 0;
  }

  /** Binary search: the entries are in the order of their cursors. */
  #indexAfter(cursor: Cursor): number {
    let low = 0;
    let high = this.#recorded.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#recorded[middle];
      if (entry !== undefined && compareCursors(entry.cursor, cursor) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #forgetOccasionally(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#forgetAtMs) return;
    this.#forgetAtMs = nowMs + FORGET_INTERVAL_MS;
    const before = this.#held.size;
    const wallMs = this.#clock.wallMs();
    for (const [id, { fact, heldSinceMs }] of this.#held) {
      if (fact.rememberUntilMs <= wallMs && nowMs - heldSinceMs >= this.#minHoldMs) this.#held.delete(id);
    }
    if (this.#held.size !== before) this.#forgetHistory();
  }

  #forgetHistory(): void {
    const kept: LogEntry[] = [];
    for (const entry of this.#recorded) {
      if (this.#held.has(entry.fact.tokenId)) kept.push(entry);
      else {
        this.#recordedAt.delete(entry.fact.tokenId);
        this.#forgottenUpTo = entry.cursor;
      }
    }
    this.#recorded = kept;
  }
}
