import type { Cursor } from "./cursor.ts";
import { GatewayError } from "./errors.ts";
import { type FactKey, factKeyOf } from "./facts.ts";
import type { Clock, KeyFact, RevocationFact, RevocationLog, SubjectFact, TokenFact } from "./ports.ts";
import type { Revocations } from "./revocations.ts";
import type { MachineId, Token, TokenId } from "./token.ts";

export interface RecorderOptions {
  readonly log: RevocationLog;
  readonly revocations: Revocations;
  readonly clock: Clock;
  /** The name of this replica. */
  readonly origin: string;
  /** How long the log keeps an entry, and a fact about an opaque token is remembered at most, in milliseconds. */
  readonly retentionMs: number;
  /** How long after its minting a JWT may still be accepted, in milliseconds. */
  readonly longestJwtMs: number;
  /** The least a fact is remembered: longer than any verdict it could contradict lives. */
  readonly minHoldMs: number;
  /** How long an append may take. */
  readonly appendTimeoutMs: number;
  readonly onAppendError: (error: unknown) => void;
  /** Uniform in [0, 1), for jitter only. */
  readonly random?: (() => number) | undefined;
}

const RETRY_MS = 1_000;
/** By how much the issuer's clock and those of replicas may differ, at most: the largest skew that is allowed for. */
const MAX_SKEW_MS = 60_000;

/**
 * Turns confirmed revocations into facts in the log. A fact is refused here from the first moment; while the log does not
 * take it, it is kept and offered again until it does or until nobody could need it any more.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #pending = new Map<FactKey, RevocationFact>();
  readonly #appending = new Set<AbortController>();
  #closed = false;
  #cancelRetry: (() => void) | undefined;
  #cancelRenewal = () => {};

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The fact that `token` was revoked. A JWT's own expiration is all that ends its life. */
  factOf(token: Token, source: RevocationFact["source"], reason = token.revocationReason): TokenFact {
    const { clock, retentionMs, minHoldMs, longestJwtMs } = this.#options;
    const nowMs = clock.wallMs();
    const [longestMs, slackMs] = token.format === "jwt" ? [longestJwtMs, MAX_SKEW_MS] : [retentionMs, 0];
    const untilDeadMs = (token.expiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs + slackMs + minHoldMs;
    const rememberForMs = Math.max(minHoldMs, Math.min(longestMs, untilDeadMs));
    return { tokenId: token.id, subject: token.subject, ...this.#base(source, reason, nowMs + rememberForMs) };
  }

  /** The fact that the JWT with an id was revoked, of which nothing else may be known. */
  jwtFactOf(tokenId: TokenId, reason: string | undefined): TokenFact {
    const untilMs = this.#options.clock.wallMs() + this.#options.longestJwtMs;
    return { tokenId, subject: undefined, ...this.#base("api", reason, untilMs) };
  }

  /** The fact that what a machine minted before an instant was revoked: remembered until the last such JWT has expired. */
  subjectFactOf(subject: MachineId, issuedBeforeMs: number, reason: string | undefined): SubjectFact {
    const untilMs = Math.max(this.#options.clock.wallMs(), issuedBeforeMs) + this.#options.longestJwtMs;
    return { subject, issuedBeforeMs, ...this.#base("api", reason, untilMs) };
  }

  /** The fact that all JWTs signed with a key were revoked. By when it is forgotten the issuer must have withdrawn the key. */
  keyFactOf(keyId: string, reason: string | undefined): KeyFact {
    return { keyId, ...this.#base("api", reason, this.#options.clock.wallMs() + this.#options.longestJwtMs) };
  }

  #base(source: RevocationFact["source"], reason: string | undefined, untilMs: number) {
    const { clock, origin } = this.#options;
    return { reason, revokedAtMs: clock.wallMs(), rememberUntilMs: Math.ceil(untilMs), source, origin };
  }

  /**
   * Returns where the log holds the fact, appending it if need be.
   * @throws GatewayError REVOKED_NOT_BROADCAST when the log did not take it; it will be offered again
   */
  async record(fact: RevocationFact): Promise<Cursor> {
    const { revocations } = this.#options;
    revocations.learn(fact);
    const recorded = revocations.recordedAt(fact);
    if (recorded !== undefined) return recorded;
    const offered = this.#await(fact);
    try {
      return await this.#append(offered);
    } catch (error) {
      this.#options.onAppendError(error);
      this.#scheduleRetry();
      throw new GatewayError(
        "REVOKED_NOT_BROADCAST",
        "the revocation holds upstream and at this replica, but other replicas have not been told yet; repeat the call",
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
    for (const fact of this.#options.revocations.unrecorded()) this.#await(fact);
    this.#scheduleRetry(0);
  }

  /**
   * Says again what must be remembered for longer than the log keeps its entries, well before the log drops the entry. What
   * another replica has said again meanwhile is not due. Until `close`.
   */
  startRenewing(): void {
    const { log, clock, retentionMs } = this.#options;
    if (!log.shared || this.#closed) return;
    this.#cancelRenewal = clock.after((retentionMs / 8) * (0.5 + (this.#options.random ?? Math.random)() / 2), () => {
      void this.#renew().finally(() => this.startRenewing());
    });
  }

  /** Facts that the log has not taken yet. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelRenewal();
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
      if (applied.epoch === "none" || cursor.epoch === applied.epoch) this.#settle(fact);
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
      if (!revocations.holds(fact) || revocations.recordedAt(fact) !== undefined) {
        this.#settle(fact);
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

  async #renew(): Promise<void> {
    const { revocations, clock, retentionMs } = this.#options;
    const due = revocations.recordedLongAgo(retentionMs, clock.monotonicMs() - retentionMs / 2);
    try {
      for (const fact of due) {
        if (this.#closed) return;
        await this.#append(revocations.held(fact) ?? fact);
      }
    } catch (error) {
      if (!this.#closed) this.#options.onAppendError(error);
    }
  }

  /** Of two facts about one thing only the one in which both have been merged is offered. */
  #await(fact: RevocationFact): RevocationFact {
    const merged = this.#options.revocations.held(fact) ?? fact;
    this.#pending.set(factKeyOf(fact), merged);
    return merged;
  }

  /** By identity: a stricter fact about the same thing may be waiting by now. */
  #settle(fact: RevocationFact): void {
    const key = factKeyOf(fact);
    if (this.#pending.get(key) === fact) this.#pending.delete(key);
  }
}
