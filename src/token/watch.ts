import { type Cursor, compareCursors, formatCursor, startOf } from "./cursor.ts";
import { canceled, GatewayError } from "./errors.ts";
import type { Clock, LogEntry } from "./ports.ts";
import type { RevocationFeed } from "./revocation-feed.ts";
import type { ResumeResult, Revocations } from "./revocations.ts";
import type { MachineId } from "./token.ts";

/** `resumeAt` is where to resume after the event; `undefined` inside a snapshot, which cannot be resumed half way. */
export type WatchEvent =
  | { readonly kind: "revocation"; readonly entry: LogEntry; readonly resumeAt: Cursor | undefined }
  | { readonly kind: "snapshot_complete"; readonly size: number; readonly resumeAt: Cursor }
  | { readonly kind: "heartbeat"; readonly resumeAt: Cursor }
  | { readonly kind: "reset"; readonly reason: "too_old" | "epoch_changed"; readonly resumeAt: undefined };

export interface WatchOptions {
  readonly feed: RevocationFeed;
  readonly revocations: Revocations;
  readonly clock: Clock;
  /** Resume after this; `undefined` begins with a snapshot. */
  readonly after: Cursor | undefined;
  /** Empty: tokens of all machines. Facts whose machine is not known always pass. */
  readonly subjects: ReadonlySet<MachineId>;
  /** The longest silence, in milliseconds. */
  readonly heartbeatMs: number;
  /** A subscriber that stays more than this many revocations behind for longer than a heartbeat is cut. */
  readonly maxLag: number;
  /** The subscriber left. */
  readonly signal: AbortSignal;
  /** The gateway is going away. */
  readonly drain: AbortSignal;
}

const BATCH = 256;

/**
 * One subscriber's stream. It holds a position in the shared history and nothing else: there is no queue that a slow
 * subscriber could grow. One that stays too far behind is cut all the same, so that it learns of it.
 *
 * @throws GatewayError SLOW_CONSUMER and DRAINING, both with the cursor to resume from; CANCELED
 */
export function watchRevocations(options: WatchOptions): AsyncGenerator<WatchEvent, never> {
  return new Watch(options).events();
}

class Watch {
  readonly #options: WatchOptions;
  /** Everything up to here has been sent or filtered out; `undefined` before a snapshot. */
  #position: Cursor | undefined;
  #lastSentMs: number;
  /** When the subscriber was last seen to keep up. */
  #keptUpAtMs: number;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#lastSentMs = options.clock.monotonicMs();
    this.#keptUpAtMs = this.#lastSentMs;
  }

  /** Between looking at the history and waiting for a change nothing is awaited, so no change can be missed. */
  async *events(): AsyncGenerator<WatchEvent, never> {
    const { after, revocations, clock, heartbeatMs } = this.#options;
    if (after !== undefined && revocations.canResume(after) === "ok") yield this.#heartbeat(after);
    let position = after;
    // Another replica may have applied more of the log than this one had when the subscriber came.
    if (after !== undefined && revocations.canResume(after) === "ahead") await this.#options.feed.refresh();
    for (;;) {
      const state = position === undefined ? "new" : revocations.canResume(position);
      if (position === undefined || state !== "ok") {
        if (state !== "new") yield resetBecause(state);
        this.#position = undefined;
        position = yield* this.#snapshot();
        continue;
      }
      this.#position = position;
      const batch = revocations.after(position, BATCH);
      yield* this.#deliver(batch, true);
      position = batch.at(-1)?.cursor ?? position;
      if (batch.length > 0) continue;

      const silentForMs = clock.monotonicMs() - this.#lastSentMs;
      if (silentForMs >= heartbeatMs) yield this.#heartbeat(position);
      else {
        await this.#nextChange(heartbeatMs - silentForMs);
        this.#keptUpAtMs = clock.monotonicMs();
      }
      this.#endIfOver();
    }
  }

  /** Everything recorded by now. Returns where "now" was: what is recorded meanwhile comes after it. */
  async *#snapshot(): AsyncGenerator<WatchEvent, Cursor> {
    const { revocations } = this.#options;
    const end = revocations.applied;
    let size = 0;
    let position = startOf(end.epoch);
    while (revocations.applied.epoch === end.epoch && compareCursors(position, end) < 0) {
      const batch = revocations.after(position, BATCH).filter((entry) => compareCursors(entry.cursor, end) <= 0);
      size += yield* this.#deliver(batch, false);
      position = batch.at(-1)?.cursor ?? end;
    }
    if (revocations.applied.epoch === end.epoch) yield this.#sent({ kind: "snapshot_complete", size, resumeAt: end });
    this.#keptUpAtMs = this.#options.clock.monotonicMs();
    return end;
  }

  /** Sends what passes the filter. Returns how many that were. */
  async *#deliver(batch: readonly LogEntry[], resumable: boolean): AsyncGenerator<WatchEvent, number> {
    let count = 0;
    for (const entry of batch) {
      if (passes(entry, this.#options.subjects)) {
        count += 1;
        yield this.#sent({ kind: "revocation", entry, resumeAt: resumable ? entry.cursor : undefined });
      }
      if (resumable) {
        this.#position = entry.cursor;
        this.#endIfTooSlow(entry.cursor);
      }
      this.#endIfOver();
    }
    return count;
  }

  #heartbeat(resumeAt: Cursor): WatchEvent {
    return this.#sent({ kind: "heartbeat", resumeAt });
  }

  #sent(event: WatchEvent): WatchEvent {
    this.#lastSentMs = this.#options.clock.monotonicMs();
    return event;
  }

  #endIfOver(): void {
    const { signal, drain } = this.#options;
    if (signal.aborted) throw canceled();
    if (drain.aborted) {
      throw new GatewayError("DRAINING", "the gateway is shutting down; resume elsewhere", this.#resumeFacts());
    }
  }

  #endIfTooSlow(position: Cursor): void {
    const { revocations, clock, maxLag, heartbeatMs } = this.#options;
    const nowMs = clock.monotonicMs();
    if (revocations.countAfter(position) <= maxLag) this.#keptUpAtMs = nowMs;
    else if (nowMs - this.#keptUpAtMs > heartbeatMs) {
      const message = "the stream was read too slowly; resume with the cursor of the last message received";
      throw new GatewayError("SLOW_CONSUMER", message, this.#resumeFacts());
    }
  }

  #resumeFacts(): { cursor?: string } {
    return this.#position === undefined ? {} : { cursor: formatCursor(this.#position) };
  }

  /** Resolves when the log told something new, after `timeoutMs`, or when either signal is aborted. */
  #nextChange(timeoutMs: number): Promise<void> {
    const { feed, clock, signal, drain } = this.#options;
    return new Promise((resolve) => {
      const wake = () => {
        stopListening();
        cancelTimer();
        signal.removeEventListener("abort", wake);
        drain.removeEventListener("abort", wake);
        resolve();
      };
      const stopListening = feed.listen(wake);
      const cancelTimer = clock.after(timeoutMs, wake);
      signal.addEventListener("abort", wake, { once: true });
      drain.addEventListener("abort", wake, { once: true });
      if (signal.aborted || drain.aborted) wake();
    });
  }
}

/** A cursor that lies beyond the log's end is of a log that has lost it. */
function resetBecause(state: ResumeResult): WatchEvent {
  return { kind: "reset", reason: state === "too_old" ? "too_old" : "epoch_changed", resumeAt: undefined };
}

function passes({ fact }: LogEntry, subjects: ReadonlySet<MachineId>): boolean {
  return subjects.size === 0 || fact.subject === undefined || subjects.has(fact.subject);
}
