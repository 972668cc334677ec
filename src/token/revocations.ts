import { type Cursor, compareCursors, startOf } from "./cursor.ts";
import {
  covers,
  type FactKey,
  factKeyOf,
  isBefore,
  isSubjectFact,
  keyFactKey,
  merge,
  subjectFactKey,
  tokenFactKey,
} from "./facts.ts";
import type { Clock, LogEntry, RevocationFact, TokenFact } from "./ports.ts";
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

/** What the log says about one thing, all its entries taken together. */
interface RecordedFact {
  readonly fact: RevocationFact;
  /** Where the log says it, or says the last of it that was news. */
  readonly cursor: Cursor;
  /** When this process last saw the log say it, monotonic; infinitely long ago for what was there when it began to read. */
  readonly seenAtMs: number;
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
  readonly #held = new Map<FactKey, HeldFact>();
  /** The facts that the log holds, in its order, and where each one is. */
  #recorded: LogEntry[] = [];
  readonly #recordedAt = new Map<FactKey, RecordedFact>();
  #applied: Cursor = startOf("none");
  /** Facts up to here may have been forgotten. */
  #forgottenUpTo: Cursor | undefined;
  #forgetAtMs = 0;
  /** Whether what is applied now may have been in the log for any length of time. */
  #isCatchingUp = true;
  #edition: object = {};

  constructor(options: RevocationsOptions) {
    this.#clock = options.clock;
    this.#minHoldMs = options.minHoldMs;
  }

  /** The fact about one token alone. */
  find(id: TokenId): TokenFact | undefined {
    const fact = this.#held.get(tokenFactKey(id))?.fact;
    return fact !== undefined && "tokenId" in fact ? fact : undefined;
  }

  /** The fact, of whatever kind, that makes a token refused. */
  findFor(token: Token): RevocationFact | undefined {
    const { id, subject, keyId } = token;
    const watermark = this.#held.get(subjectFactKey(subject))?.fact;
    return (
      this.find(id) ??
      (watermark !== undefined && isSubjectFact(watermark) && isBefore(token, watermark) ? watermark : undefined) ??
      (keyId === undefined ? undefined : this.#held.get(keyFactKey(keyId))?.fact)
    );
  }

  /** What is held about the same thing. */
  held(fact: RevocationFact): RevocationFact | undefined {
    return this.#held.get(factKeyOf(fact))?.fact;
  }

  /**
   * Another object after every fact learned, and of another process never the same: a token about which one edition held
   * no fact has none as long as the edition is the same.
   */
  get edition(): object {
    return this.#edition;
  }

  /** Whether a fact must still be remembered. */
  holds(fact: RevocationFact): boolean {
    this.#forgetOccasionally();
    return this.#held.has(factKeyOf(fact));
  }

  /** Where the log, as far as it was read, says all that a fact says. */
  recordedAt(fact: RevocationFact): Cursor | undefined {
    const recorded = this.#recordedAt.get(factKeyOf(fact));
    return recorded !== undefined && covers(recorded.fact, fact) ? recorded.cursor : undefined;
  }

  /** Refuses what a fact is about from now on, before the log has (or without its having) recorded it. */
  learn(fact: RevocationFact): void {
    const key = factKeyOf(fact);
    const held = this.#held.get(key);
    if (held !== undefined && covers(held.fact, fact)) return;
    this.#held.set(key, {
      fact: held === undefined ? fact : merge(held.fact, fact),
      heldSinceMs: held?.heldSinceMs ?? this.#clock.monotonicMs(),
    });
    this.#edition = {};
  }

  /** Applies the next entry of the log. True when it told something that the log had not told before. */
  apply(entry: LogEntry): boolean {
    if (this.#isApplied(entry.cursor)) return false;
    this.#applied = entry.cursor;
    this.learn(entry.fact);
    const isNews = this.#note(entry);
    this.#forgetOccasionally();
    return isNews;
  }

  /** The log ends at `head`, and everything before it has been applied. */
  advance(head: Cursor): void {
    if (!this.#isApplied(head)) this.#applied = head;
    this.#isCatchingUp = false;
  }

  /** The log starts over, in another epoch or with entries lost: its history is void, but what it told stays true. */
  restart(epoch: string): void {
    this.#recorded = [];
    this.#recordedAt.clear();
    this.#isCatchingUp = true;
    this.#applied = startOf(epoch);
    this.#forgottenUpTo = undefined;
  }

  /** The live facts that the log, as far as it was read, does not hold. */
  unrecorded(): RevocationFact[] {
    const facts = [...this.#held.values()].map(({ fact }) => fact);
    return facts.filter((fact) => this.recordedAt(fact) === undefined);
  }

  /** The live facts that are remembered for longer than `lifeMs` and that the log last said before `seenBeforeMs` (monotonic). */
  recordedLongAgo(lifeMs: number, seenBeforeMs: number): RevocationFact[] {
    const wallMs = this.#clock.wallMs();
    const found: RevocationFact[] = [];
    for (const { fact, seenAtMs } of this.#recordedAt.values()) {
      const isLongLived = fact.rememberUntilMs - fact.revokedAtMs > lifeMs;
      if (isLongLived && fact.rememberUntilMs > wallMs && seenAtMs <= seenBeforeMs) found.push(fact);
    }
    return found;
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

  /**
   * Notes what the log says, and whether that is news. History keeps one entry about each thing: a watermark that has risen
   * takes the place of the lower one. What is said again, so that the log does not lose it, is no news.
   */
  #note({ cursor, fact }: LogEntry): boolean {
    const key = factKeyOf(fact);
    const before = this.#recordedAt.get(key);
    const seenAtMs = this.#isCatchingUp ? Number.NEGATIVE_INFINITY : this.#clock.monotonicMs();
    if (before !== undefined && !rises(before.fact, fact)) {
      this.#recordedAt.set(key, { fact: merge(before.fact, fact), cursor: before.cursor, seenAtMs });
      return false;
    }
    if (before !== undefined) this.#recorded.splice(this.#indexAfter(before.cursor) - 1, 1);
    this.#recordedAt.set(key, { fact: before === undefined ? fact : merge(before.fact, fact), cursor, seenAtMs });
    this.#recorded.push({ cursor, fact });
    return true;
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
      const key = factKeyOf(entry.fact);
      if (this.#held.has(key)) kept.push(entry);
      else {
        this.#recordedAt.delete(key);
        this.#forgottenUpTo = entry.cursor;
      }
    }
    this.#recorded = kept;
  }
}

function rises(before: RevocationFact, fact: RevocationFact): boolean {
  return isSubjectFact(before) && isSubjectFact(fact) && fact.issuedBeforeMs > before.issuedBeforeMs;
}
