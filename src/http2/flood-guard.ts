import type { EngineLimits } from "./engine-limits.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";

/** What a request earns: with each a client may well credit a window or two, and ping. */
const OVERHEAD_PER_REQUEST = 4;
/** What a frame of an answer earns: a client measures its link by pinging when data comes. */
const OVERHEAD_PER_SENT = 2;
const RESETS_PER_REQUEST = 0.1;
/** A stream that was waited for so long was not opened to be reset: no more of them can be than fit into the time. */
const PATIENCE_MS = 100;
const PATIENT_RESET_COST = 0.1;
const TOO_LARGE_COST = 4;

/** Counts what a client does that costs it nothing and us something, against what is left of its budgets. */
export class FloodGuard {
  readonly #limits: EngineLimits;
  #resetsLeft: number;
  #overheadLeft: number;
  #refilledAtMs: number;

  constructor(limits: EngineLimits, nowMs: number) {
    this.#limits = limits;
    this.#resetsLeft = limits.resetBurst;
    this.#overheadLeft = limits.overheadBurst;
    this.#refilledAtMs = nowMs;
  }

  /** A request came: what surrounds it is no flood. */
  request(): void {
    if (this.#overheadLeft < this.#limits.overheadBurst) this.#overheadLeft += OVERHEAD_PER_REQUEST;
    if (this.#resetsLeft < this.#limits.resetBurst) this.#resetsLeft += RESETS_PER_REQUEST;
  }

  /** A frame of an answer left that was not cut short by a window. */
  sent(): void {
    if (this.#overheadLeft < this.#limits.overheadBurst) this.#overheadLeft += OVERHEAD_PER_SENT;
  }

  /**
   * @param livedMs for how long the stream was waited for; 0 when it was made to be reset
   * @throws ConnectionError ENHANCE_YOUR_CALM
   */
  reset(livedMs: number, nowMs: number): void {
    this.#resetsLeft -= livedMs < PATIENCE_MS ? 1 : PATIENT_RESET_COST;
    if (this.#resetsLeft < 0) this.#refill(nowMs);
    if (this.#resetsLeft < 0) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset");
  }

  /**
   * A header section was too large: reading it all the same, for the sake of the table, cost as much as many requests.
   * @throws ConnectionError ENHANCE_YOUR_CALM
   */
  tooLarge(nowMs: number): void {
    this.#resetsLeft -= TOO_LARGE_COST;
    if (this.#resetsLeft < 0) this.#refill(nowMs);
    if (this.#resetsLeft < 0) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many headers too large");
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM */
  overhead(cost: number, nowMs: number): void {
    this.#overheadLeft -= cost;
    if (this.#overheadLeft < 0) this.#refill(nowMs);
    if (this.#overheadLeft < 0) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that ask for nothing");
    }
  }

  #refill(nowMs: number): void {
    const seconds = (nowMs - this.#refilledAtMs) / 1000;
    this.#refilledAtMs = nowMs;
    const { resetBurst, resetsPerSecond, overheadBurst, overheadPerSecond } = this.#limits;
    this.#resetsLeft = Math.min(resetBurst, this.#resetsLeft + seconds * resetsPerSecond);
    this.#overheadLeft = Math.min(overheadBurst, this.#overheadLeft + seconds * overheadPerSecond);
  }
}
