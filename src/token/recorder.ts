import type { Cursor } from "./cursor.ts";
import { GatewayError } from "./errors.ts";
import type { Clock, RevocationFact, RevocationLog } from "./ports.ts";
import type { Revocations } from "./revocations.ts";
import type { Token, TokenId } from "./token.ts";

export interface RecorderOptions {
  readonly log: RevocationLog;
  readonly revocations: Revocations;
  readonly clock: Clock;
  /** The name of this replica. */
  readonly origin: string;
  /** How long a fact is remembered, in milliseconds, unless the token dies earlier of itself. */
  readonly retentionMs: number;
  /** The least a fact is remembered: longer than any verdict it could contradict lives. */
  readonly minHoldMs: number;
  /** How long an append may take. */
  readonly appendTimeoutMs: number;
  readonly onAppendError: (error: unknown) => void;
}

const RETRY_MS = 1_000;

/**
 * Turns confirmed revocations into facts in the log. A fact is refused here from the first moment; while the log does not
 * take it, it is kept and offered again until it does or until nobody could need it any more.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #pending = new Map<TokenId, RevocationFact>();
  readonly #appending = new Set<AbortController>();
  #closed = false;
  #cancelRetry: (() => void) | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The fact that `token` was revoked. */
  factOf(token: Token, source: RevocationFact["source"], reason = token.revocationReason): RevocationFact {
    const { clock, origin, retentionMs, minHoldMs } = this.#options;
    const nowMs = clock.wallMs();
    const untilDeadMs = (token.expiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs + minHoldMs;
    return {
      tokenId: token.id,
      subject: token.subject,
      reason,
      revokedAtMs: nowMs,
      rememberUntilMs: Math.ceil(nowMs + Math.max(minHoldMs, Math.min(retentionMs, untilDeadMs))),
      source,
      origin,
    };
  }

  /**
   * Returns where the log holds the fact, appending it if need be.
   * @throws GatewayError REVOKED_NOT_BROADCAST when the log did not take it; it will be offered again
   */
  async record(fact: RevocationFact): Promise<Cursor> {
    const { revocations } = this.#options;
    revocations.learn(fact);
    const recorded = revocations.recordedAt(fact.tokenId);
    if (recorded !== undefined) return recorded;
    this.#pending.set(fact.tokenId, fact);
    try {
      return await this.#append(fact);
    } catch (error) {
      this.#options.onAppendError(error);
      this.#scheduleRetry();
      throw new GatewayError(
        "REVOKED_NOT_BROADCAST",
        "the token is revoked upstream and refused by this replica, but other replicas have not been told yet; repeat the call",
        {},
        error,
      );
    }
  }

  /** Records without anybody waiting; failures are retried. */
  recordInBackground(fact: RevocationFact): void {
    this.record(fact).catch(() => undefined);
  }

  /** Offers every live fact that the log turned out to lack. */
  recordMissing(): void {
    for (const fact of this.#options.revocations.unrecorded()) this.#pending.set(fact.tokenId, fact);
    this.#scheduleRetry(0);
  }

  /** Facts that the log has not taken yet. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    for (const controller of this.#appending) controller.abort();
  }

  async #append(fact: RevocationFact): Promise<Cursor> {
    const { log, clock, appendTimeoutMs } = this.#options;
    const controller = new AbortController();
    const cancelTimer = clock.after(appendTimeoutMs, () => controller.abort());
    this.#appending.add(controller);
    try {
      const cursor = await log.append(fact, controller.signal);
      // An answer of a log that has started over since does not say that the new one has the fact.
      const { applied } = this.#options.revocations;
      if (applied.epoch === "none" || cursor.epoch === applied.epoch) this.#pending.delete(fact.tokenId);
      return cursor;
    } finally {
      cancelTimer();
      this.#appending.delete(controller);
    }
  }

  #scheduleRetry(delayMs = RETRY_MS): void {
    if (this.#cancelRetry !== undefined || this.#pending.size === 0 || this.#closed) return;
    this.#cancelRetry = this.#options.clock.after(delayMs, () => {
      void this.#retry().finally(() => {
        this.#cancelRetry = undefined;
        this.#scheduleRetry();
      });
    });
  }

  /** One at a time, and no further than the first failure: the next round goes on from there. */
  async #retry(): Promise<void> {
    const { revocations } = this.#options;
    for (const fact of [...this.#pending.values()]) {
      if (!revocations.holds(fact.tokenId) || revocations.recordedAt(fact.tokenId) !== undefined) {
        this.#pending.delete(fact.tokenId);
        continue;
      }
      try {
        await this.#append(fact);
      } catch (error) {
        if (!this.#closed) this.#options.onAppendError(error);
        return;
      }
    }
  }
}
