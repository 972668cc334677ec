import type { Budget } from "./budget.ts";
import type { KnownToken, Observation } from "./observation.ts";
import type { Clock, VerdictStore } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import type { Revocations } from "./revocations.ts";
import type { Token, TokenSecret } from "./token.ts";

export interface RevalidatorOptions {
  readonly store: VerdictStore | undefined;
  readonly recorder: Recorder;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly budget: Budget;
  /** The TTL of a verdict. */
  readonly ttlMs: number;
}

/** How the verifier obtains observations of one token. */
export interface Questions {
  /** Takes over what another replica has observed. */
  readonly lookUp: () => Promise<unknown>;
  /** Asks the upstream and remembers its answer. */
  readonly ask: () => Promise<Observation>;
}

/** Uses since the last observation that make a token worth asking about before anybody has to wait. */
const HOT_USES = 2;
/** The part of its life after which a hot verdict is asked for again. */
const REFRESH_AT = 0.75;
/** How long one replica has to itself to ask on behalf of all. */
const LEASE_MS = 5_000;
/** The pause before a refusal is believed to be a revocation. */
const CONFIRM_AFTER_MS = 250;

/**
 * Finds out about revocations that nobody told the gateway of. Hot verdicts are asked for again before they expire, by one
 * replica for all and within a budget; a token that the upstream knew and now refuses, twice in a row, was revoked
 * elsewhere, and becomes a fact for every replica.
 */
export class Revalidator {
  readonly #options: RevalidatorOptions;
  readonly #confirming = new Set<string>();
  #closed = false;
  /** Revocations found this way. */
  discovered = 0;

  constructor(options: RevalidatorOptions) {
    this.#options = options;
  }

  /** Notes that a cached observation decided, and says whether it is time to renew it. Runs on every hit. */
  isDue(known: KnownToken, nowMs: number): boolean {
    known.uses += 1;
    if (!this.isHot(known) || nowMs < this.renewAtMs(known)) return false;
    return !this.#closed && known.isRenewing !== true;
  }

  /** Whether it has been used so often that further uses make no difference. */
  isHot(known: KnownToken): boolean {
    return known.uses >= HOT_USES;
  }

  /** When, on the monotonic clock, a hot one becomes due. */
  renewAtMs(known: KnownToken): number {
    return known.observedAtMonotonicMs + REFRESH_AT * this.#options.ttlMs;
  }

  /** Renews an observation: once, by one replica for all, if the budget allows. */
  refresh(known: KnownToken, secret: TokenSecret, questions: Questions): void {
    known.isRenewing = true;
    this.#refresh(secret, questions).catch(() => undefined);
  }

  /**
   * The upstream refused a token that it knew before.
   *
   * @param isSame whether the upstream is still asked with the credential that it knew the token under: one that another
   *   credential may not verify is not revoked
   */
  refused(token: Token, isSame: () => boolean, ask: Questions["ask"]): void {
    if (!isSame()) return;
    const { clock, revocations } = this.#options;
    const diesSoon = token.expiresAtMs !== undefined && token.expiresAtMs <= clock.wallMs() + 2 * CONFIRM_AFTER_MS;
    if (diesSoon || token.format === "jwt" || revocations.findFor(token) !== undefined) return;
    if (this.#confirming.has(token.id) || this.#closed) return;
    this.#confirming.add(token.id);
    this.#confirm(token, isSame, ask)
      .catch(() => undefined)
      .finally(() => this.#confirming.delete(token.id));
  }

  /** Questions asked on nobody's behalf. */
  get renewals(): number {
    return this.#options.budget.taken;
  }

  close(): void {
    this.#closed = true;
  }

  async #refresh(secret: TokenSecret, { lookUp, ask }: Questions): Promise<void> {
    const { store, budget } = this.#options;
    if (store !== undefined && !(await store.claim(secret, LEASE_MS))) {
      await this.#pause(LEASE_MS / 5);
      await lookUp();
    } else if (budget.take()) await ask();
  }

  async #confirm(token: Token, isSame: () => boolean, ask: Questions["ask"]): Promise<void> {
    const { recorder, revocations } = this.#options;
    await this.#pause(CONFIRM_AFTER_MS);
    const again = await ask();
    if (again.token !== undefined || !isSame() || revocations.findFor(token) !== undefined) return;
    this.discovered += 1;
    recorder.recordInBackground(recorder.factOf(token, "observed"));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(ms, resolve);
    });
  }
}
