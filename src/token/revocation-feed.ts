import { type Cursor, compareCursors } from "./cursor.ts";
import { DurationCounts } from "./duration-counts.ts";
import { canceled, GatewayError } from "./errors.ts";
import type { Clock, LogEntry, LogRead, RevocationLog } from "./ports.ts";
import type { Revocations } from "./revocations.ts";

export interface RevocationFeedOptions {
  readonly log: RevocationLog;
  readonly revocations: Revocations;
  readonly clock: Clock;
  /** The staleness bound B: without a proof of contact that recent, no cached verdict may be used. */
  readonly boundMs: number;
  /** A read of the log failed. Called once per failure; the feed goes on. */
  readonly onReadError: (error: unknown) => void;
  /**
   * The log started over: facts may have been lost that no replica has told this one. Verdicts observed before now must
   * not be used any more, and the facts that the log lacks must be appended again.
   */
  readonly onRestart: () => void;
}

const WAKE_AT_ONCE = 128;
/** How many staleness bounds after its beginning an epoch counts as whole to those who read it then. */
const SETTLES_WITHIN_BOUNDS = 2;

/**
 * The one reader of the log in a process. It applies entries in order, knows how long ago it had provably read the log to
 * its end, and wakes those who wait for news.
 *
 * The proof of contact is the START of the read: an append that the read did not return happened after that instant, so
 * whoever trusts the caches for B from there is at most B behind it. No two clocks are compared.
 */
export class RevocationFeed {
  readonly #options: RevocationFeedOptions;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  /** From the making of each revocation, by its maker's clock, to its application here, by this one's. */
  readonly lag = new DurationCounts();
  /** Reads of the log that succeeded, and that did not. */
  reads = 0;
  failedReads = 0;
  #contactAtMs = Number.NEGATIVE_INFINITY;
  #settledAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #hasFailed = false;
  #unsubscribe: (() => void) | undefined;
  #cancelPoll: (() => void) | undefined;

  constructor(options: RevocationFeedOptions) {
    this.#options = options;
  }

  /**
   * Subscribes, then reads the log from its beginning: nothing appended in between can be missed. Nothing may be verified
   * before it resolves; it does so even if the log cannot be read.
   */
  async start(): Promise<void> {
    this.#unsubscribe = this.#options.log.subscribe((entry) => {
      this.#options.revocations.learn(entry.fact);
      void this.refresh();
    });
    await this.refresh();
    this.#schedulePoll();
  }

  /** Reads the log to its end, now. Resolves after the read, whether it succeeded or not. */
  refresh(): Promise<void> {
    if (this.#reading !== undefined) {
      this.#readAgain = true;
      return this.#reading;
    }
    this.#reading = this.#readToEnd().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Whether cached verdicts may be used at `nowMs` (monotonic). */
  isFresh(nowMs: number): boolean {
    return this.stalenessMs(nowMs) <= this.#options.boundMs;
  }

  /** For how long there has been no proof of having read the log to its end; Infinity before the first. */
  stalenessMs(nowMs: number): number {
    if (!this.#options.log.shared && this.#contactAtMs !== Number.NEGATIVE_INFINITY) return 0;
    return Math.max(0, nowMs - this.#contactAtMs);
  }

  /**
   * Whether facts that the log lost when its epoch began have had the time to come back before it was last read: whoever holds one
   * reads the new epoch within B/3 of reaching it and appends the fact again. That the time has passed is not enough: a log that
   * cannot be reached any more may have been read before. Where the upstream could be asked instead, nobody need wait for it.
   */
  get isSettled(): boolean {
    return this.#contactAtMs >= this.#settledAtMs;
  }

  get boundMs(): number {
    return this.#options.boundMs;
  }

  /** Calls `listener` after the log told something new. Returns how to stop. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws GatewayError CURSOR_OF_ANOTHER_LOG */
  hasApplied(cursor: Cursor): boolean {
    const { applied } = this.#options.revocations;
    if (cursor.epoch !== applied.epoch) {
      throw new GatewayError("CURSOR_OF_ANOTHER_LOG", "the cursor is of a log that this gateway does not follow");
    }
    return compareCursors(cursor, applied) <= 0;
  }

  /**
   * Resolves once everything up to `cursor` has been applied.
   * @throws GatewayError CURSOR_NOT_REACHED after `timeoutMs`, CANCELED, CURSOR_OF_ANOTHER_LOG
   */
  async waitFor(cursor: Cursor, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.hasApplied(cursor)) return;
    if (signal.aborted) throw canceled();
    let cleanUp = () => {};
    const reached = new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(canceled());
      const onTimeout = () => reject(notReached());
      const stopListening = this.listen(() => {
        try {
          if (this.hasApplied(cursor)) resolve();
        } catch (error) {
          reject(error);
        }
      });
      const cancelTimer = this.#options.clock.after(timeoutMs, onTimeout);
      signal.addEventListener("abort", onAbort, { once: true });
      cleanUp = () => {
        stopListening();
        cancelTimer();
        signal.removeEventListener("abort", onAbort);
      };
    });
    await reached.finally(cleanUp);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#unsubscribe?.();
    this.#cancelPoll?.();
    await this.#reading;
  }

  async #readToEnd(): Promise<void> {
    const { log, revocations, clock } = this.#options;
    do {
      this.#readAgain = false;
      const startedAtMs = clock.monotonicMs();
      try {
        const after = revocations.applied.epoch === "none" ? undefined : revocations.applied;
        const read = await log.read(after, this.#closing.signal);
        this.#apply(read);
        this.#contactAtMs = startedAtMs;
        this.reads += 1;
        // Once more, so that the fleet learns at once that this replica has applied them.
        if (log.shared && read.entries.length > 0) this.#readAgain = true;
      } catch (error) {
        this.#hasFailed = true;
        this.failedReads += 1;
        if (!this.#closing.signal.aborted) this.#options.onReadError(error);
      }
    } while (this.#readAgain && !this.#closing.signal.aborted);
  }

  #apply(read: LogRead): void {
    const { revocations } = this.#options;
    const before = revocations.applied;
    if (read.restarted) revocations.restart(read.head.epoch);
    for (const entry of read.entries) revocations.apply(entry);
    revocations.advance(read.head);
    if (read.epochAgeMs !== undefined && before.epoch !== read.head.epoch) {
      this.#settledAtMs =
        this.#options.clock.monotonicMs() + SETTLES_WITHIN_BOUNDS * this.#options.boundMs - read.epochAgeMs;
    }
    // A process whose first read succeeds has observed nothing before it.
    if (read.restarted && (before.epoch !== "none" || this.#hasFailed)) this.#options.onRestart();
    // What is replayed was made long before this process looked for it.
    if (!read.restarted) this.#noteLag(read.entries);
    if (read.restarted || compareCursors(before, revocations.applied) !== 0) this.#wake();
  }

  #noteLag(entries: readonly LogEntry[]): void {
    const nowMs = this.#options.clock.wallMs();
    for (const { fact } of entries) this.lag.add(Math.max(0, nowMs - fact.revokedAtMs));
  }

  /** A few at a time: with thousands of watchers, answers to calls must not wait until all of them have been served. */
  #wake(listeners = [...this.#listeners]): void {
    for (const listener of listeners.slice(0, WAKE_AT_ONCE)) listener();
    if (listeners.length <= WAKE_AT_ONCE) return;
    this.#options.clock.after(0, () => this.#wake(listeners.slice(WAKE_AT_ONCE)));
  }

  /** Silence proves nothing: a shared log is asked again three times per bound. */
  #schedulePoll(): void {
    if (!this.#options.log.shared || this.#closing.signal.aborted) return;
    this.#cancelPoll = this.#options.clock.after(this.#options.boundMs / 3, () => {
      void this.refresh().finally(() => this.#schedulePoll());
    });
  }
}

function notReached(): GatewayError {
  return new GatewayError("CURSOR_NOT_REACHED", "this replica has not applied the log up to min_cursor in time");
}
