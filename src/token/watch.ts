import { type Cursor, compareCursors, formatCursor, startOf } from "./cursor.ts";
import { canceled, GatewayError } from "./errors.ts";
import { machineOf } from "./facts.ts";
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
  /** The stream is to end, because the gateway goes away or for the GatewayError that is the signal's reason. */
  readonly drain: AbortSignal;
}

const BATCH = 256;
const NO_ENTRIES: readonly LogEntry[] = [];

/**
 * One subscriber's stream. It never ends but by an error.
 *
 * @throws GatewayError SLOW_CONSUMER, DRAINING and the reason of `drain`, with the cursor to resume from; CANCELED
 */
export async function* watchRevocations(options: WatchOptions): AsyncGenerator<WatchEvent, never> {
  const { signal, drain } = options;
  const watch = new Watch(options);
  if (watch.isAhead) await options.feed.refresh();
  for (;;) {
    // Between looking for an event and waiting for a change nothing is awaited, so no change can be missed.
    const event = watch.next();
    if (event === undefined) await nextChange(options, watch.heartbeatInMs);
    else yield event;
    if (signal.aborted) throw canceled();
    if (drain.aborted) throw watch.endedBy(drain.reason);
  }
}

/**
 * What one subscriber is to be sent, event by event. It holds a position in the shared history and nothing else: there is
 * no queue that a slow subscriber could grow. One that stays too far behind is cut all the same, so that it learns of it.
 */
export class Watch {
  readonly #options: Omit<WatchOptions, "signal" | "drain" | "feed">;
  /** Everything up to here has been sent or filtered out; `undefined` before and during a snapshot. */
  #position: Cursor | undefined;
  #snapshot: { readonly end: Cursor; position: Cursor; size: number } | undefined;
  /** Entries to look at, from `#index` on. */
  #batch = NO_ENTRIES;
  #index = 0;
  /** Whether the subscriber has yet to hear that its cursor is good. */
  #isNew: boolean;
  #lastSentMs: number;
  /** When the subscriber was last seen to keep up. */
  #keptUpAtMs: number;
  /** Everything there was had been sent when it was last asked for more. */
  #hadAll = false;

  constructor(options: Omit<WatchOptions, "signal" | "drain" | "feed">) {
    this.#options = options;
    this.#position = options.after;
    this.#isNew = options.after !== undefined && options.revocations.canResume(options.after) === "ok";
    this.#lastSentMs = options.clock.monotonicMs();
    this.#keptUpAtMs = this.#lastSentMs;
  }

  /** Another replica may have applied more of the log than this one when the subscriber came: the log must be read first. */
  get isAhead(): boolean {
    return this.#position !== undefined && this.#options.revocations.canResume(this.#position) === "ahead";
  }

  /** When the subscriber must hear something if nothing happens. */
  get heartbeatInMs(): number {
    return Math.max(0, this.#lastSentMs + this.#options.heartbeatMs - this.#options.clock.monotonicMs());
  }

  isHeartbeatDue(nowMs: number): boolean {
    return nowMs - this.#lastSentMs >= this.#options.heartbeatMs;
  }

  /**
   * The next event; `undefined` when there is none until the log tells something new or the heartbeat is due.
   * @throws GatewayError SLOW_CONSUMER
   */
  next(): WatchEvent | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#hadAll) this.#keptUpAtMs = nowMs;
    this.#hadAll = false;
    const event = this.#find(nowMs);
    if (event === undefined) this.#hadAll = true;
    else this.#lastSentMs = nowMs;
    return event;
  }

  /** What ends the stream from outside, with the cursor to resume from; the gateway's going away where nothing else is said. */
  endedBy(reason: unknown): GatewayError {
    if (reason instanceof GatewayError && reason.reason !== "DRAINING") {
      return new GatewayError(reason.reason, reason.message, { ...reason.facts, ...this.#resumeFacts() });
    }
    return new GatewayError("DRAINING", "the gateway is shutting down; resume elsewhere", this.#resumeFacts());
  }

  #find(nowMs: number): WatchEvent | undefined {
    if (this.#isNew && this.#position !== undefined) {
      this.#isNew = false;
      return { kind: "heartbeat", resumeAt: this.#position };
    }
    for (;;) {
      const event = this.#fromBatch() ?? (this.#snapshot === undefined ? this.#fromHistory(nowMs) : this.#goOn(nowMs));
      if (event !== "more") return event;
    }
  }

  /** Takes what comes after the position in hand: `more` when there is something. */
  #fromHistory(nowMs: number): WatchEvent | "more" | undefined {
    const { revocations } = this.#options;
    const position = this.#position;
    const state = position === undefined ? "new" : revocations.canResume(position);
    if (position === undefined || state !== "ok") {
      this.#beginSnapshot();
      return state === "new" ? "more" : resetBecause(state);
    }
    this.#batch = revocations.after(position, BATCH);
    if (this.#batch.length > 0) return "more";
    return this.isHeartbeatDue(nowMs) ? { kind: "heartbeat", resumeAt: position } : undefined;
  }

  /** The next entry in hand that passes the filter. */
  #fromBatch(): WatchEvent | undefined {
    while (this.#index < this.#batch.length) {
      const entry = this.#batch[this.#index];
      this.#index += 1;
      if (entry === undefined) continue;
      if (this.#snapshot === undefined) {
        this.#endIfTooSlow();
        this.#position = entry.cursor;
      }
      if (!passes(entry, this.#options.subjects)) continue;
      if (this.#snapshot === undefined) return { kind: "revocation", entry, resumeAt: entry.cursor };
      this.#snapshot.size += 1;
      return { kind: "revocation", entry, resumeAt: undefined };
    }
    this.#batch = NO_ENTRIES;
    this.#index = 0;
    return undefined;
  }

  /** Everything recorded by now comes first; what is recorded meanwhile comes after it. */
  #beginSnapshot(): void {
    const end = this.#options.revocations.applied;
    this.#position = undefined;
    this.#snapshot = { end, position: startOf(end.epoch), size: 0 };
  }

  /** Takes the next part of the snapshot in hand; at its end says so, unless the log has started over meanwhile. */
  #goOn(nowMs: number): WatchEvent | "more" {
    const { revocations } = this.#options;
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return "more";
    const { end, position, size } = snapshot;
    const isCurrent = revocations.applied.epoch === end.epoch;
    if (isCurrent && compareCursors(position, end) < 0) {
      this.#batch = revocations.after(position, BATCH).filter(({ cursor }) => compareCursors(cursor, end) <= 0);
      snapshot.position = this.#batch.at(-1)?.cursor ?? end;
      return "more";
    }
    this.#snapshot = undefined;
    this.#position = end;
    this.#keptUpAtMs = nowMs;
    return isCurrent ? { kind: "snapshot_complete", size, resumeAt: end } : "more";
  }

  /** What has been handed out was taken: the subscriber asks for more. */
  #endIfTooSlow(): void {
    const { revocations, clock, maxLag, heartbeatMs } = this.#options;
    if (this.#position === undefined) return;
    const nowMs = clock.monotonicMs();
    if (revocations.countAfter(this.#position) <= maxLag) this.#keptUpAtMs = nowMs;
    else if (nowMs - this.#keptUpAtMs > heartbeatMs) {
      const message = "the stream was read too slowly; resume with the cursor of the last message received";
      throw new GatewayError("SLOW_CONSUMER", message, this.#resumeFacts());
    }
  }

  #resumeFacts(): { cursor?: string } {
    return this.#position === undefined ? {} : { cursor: formatCursor(this.#position) };
  }
}

/** Resolves when the log told something new, after `timeoutMs`, or when either signal is aborted. */
function nextChange({ feed, clock, signal, drain }: WatchOptions, timeoutMs: number): Promise<void> {
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

/** A cursor that lies beyond the log's end is of a log that has lost it. */
function resetBecause(state: ResumeResult): WatchEvent {
  return { kind: "reset", reason: state === "too_old" ? "too_old" : "epoch_changed", resumeAt: undefined };
}

function passes({ fact }: LogEntry, subjects: ReadonlySet<MachineId>): boolean {
  const machine = machineOf(fact);
  return subjects.size === 0 || machine === undefined || subjects.has(machine);
}
