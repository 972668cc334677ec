import { type Cursor, compareCursors } from "../token/cursor.ts";
import { withoutCovered } from "../token/facts.ts";
import type { Clock, LogEntry, LogRead } from "../token/ports.ts";

export interface LogMirrorOptions {
  readonly clock: Clock;
  /**
   * An entry is kept at least this long, by the monotonic clock, in milliseconds: longer than any verdict that it could
   * contradict lives.
   */
  readonly minHoldMs: number;
}

interface HeldEntry {
  readonly entry: LogEntry;
  readonly heldSinceMs: number;
}

/**
 * The log as far as it was read: all entries whose facts must still be remembered, so that a worker that starts, or that has
 * fallen behind, is told everything without another read of the log from its beginning.
 */
export class LogMirror {
  readonly #options: LogMirrorOptions;
  #held: HeldEntry[] = [];
  #head: Cursor | undefined;
  /** When the epoch began, monotonic, where the log says so. */
  #bornAtMs: number | undefined;
  /** Who has applied less than this, in this epoch, may have missed entries that are gone: logs lose their beginning first. */
  #resumableFrom: Cursor | undefined;
  #trimAt = 1_024;

  constructor(options: LogMirrorOptions) {
    this.#options = options;
  }

  /** The end of the log when it was last read; `undefined` before that. */
  get head(): Cursor | undefined {
    return this.#head;
  }

  /**
   * Takes over a read of the log that began at or before `head`.
   * @throws Error when the log ends before `head` in the same epoch: its end was lost, and nothing of it is kept
   */
  absorb(read: LogRead): void {
    const head = this.#head;
    if (head !== undefined && head.epoch === read.head.epoch && compareCursors(read.head, head) < 0) {
      this.#held = [];
      this.#head = undefined;
      throw new Error("the log ends before where it ended: it is read again from its beginning");
    }
    if (head === undefined || !isContinued(head, read)) {
      this.#held = [];
      this.#resumableFrom = read.entries[0]?.cursor ?? read.head;
    }
    const known = this.#held.length === 0 ? undefined : head;
    const heldSinceMs = this.#options.clock.monotonicMs();
    for (const entry of read.entries) {
      if (known === undefined || compareCursors(entry.cursor, known) > 0) this.#held.push({ entry, heldSinceMs });
    }
    this.#head = read.head;
    this.#bornAtMs = read.epochAgeMs === undefined ? undefined : heldSinceMs - read.epochAgeMs;
    this.#trim();
  }

  /** What a reader that has applied the log up to `after` must be told: what `RevocationLog.read` returns. */
  after(after: Cursor | undefined): LogRead {
    const head = this.#head;
    if (head === undefined) throw new Error("the log has not been read");
    const bornAtMs = this.#bornAtMs;
    const epochAgeMs = bornAtMs === undefined ? undefined : this.#options.clock.monotonicMs() - bornAtMs;
    if (after === undefined || !this.#canResume(after, head)) {
      return { entries: this.#held.map(({ entry }) => entry), head, restarted: true, epochAgeMs };
    }
    const first = this.#held.findLastIndex(({ entry }) => compareCursors(entry.cursor, after) <= 0) + 1;
    return { entries: this.#held.slice(first).map(({ entry }) => entry), head, restarted: false, epochAgeMs };
  }

  #canResume(after: Cursor, head: Cursor): boolean {
    if (after.epoch !== head.epoch || compareCursors(after, head) > 0) return false;
    return this.#resumableFrom === undefined || compareCursors(after, this.#resumableFrom) >= 0;
  }

  /** Whenever it has doubled since the last time, so that the cost per entry stays constant. */
  #trim(): void {
    if (this.#held.length < this.#trimAt) return;
    const { clock, minHoldMs } = this.#options;
    const wallMs = clock.wallMs();
    const nowMs = clock.monotonicMs();
    const live = this.#held.filter(
      ({ entry, heldSinceMs }) => entry.fact.rememberUntilMs > wallMs || nowMs - heldSinceMs < minHoldMs,
    );
    this.#held = withoutCovered(live, ({ entry }) => entry.fact);
    this.#trimAt = Math.max(1_024, 2 * this.#held.length);
  }
}

/**
 * Whether nothing between `head` and what was read can be missing. Logs are trimmed from their beginning, so where an entry
 * at or before `head` is still there, all after it are. A log that was empty has lost at most what need no longer be
 * remembered.
 */
function isContinued(head: Cursor, read: LogRead): boolean {
  if (head.epoch !== read.head.epoch) return false;
  if (!read.restarted || compareCursors(head, read.head) === 0 || (head.major === 0 && head.minor === 0)) return true;
  const [first] = read.entries;
  return first !== undefined && compareCursors(first.cursor, head) <= 0;
}
