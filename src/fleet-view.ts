import type { Clock, Fleet, ReplicaContact } from "./token/ports.ts";

export interface FleetSnapshot {
  readonly replicas: readonly ReplicaContact[];
  /** When the log was asked, in milliseconds since the epoch; `undefined` while it never answered. */
  readonly readAtMs: number | undefined;
}

export interface FleetViewOptions {
  readonly fleet: Fleet;
  readonly clock: Clock;
}

/** However many ask how often, the log is asked twice a second at most. */
const LIFE_MS = 500;
const NEVER = new AbortController().signal;

/** Who follows the log, for people to look at: what was known last, where the log cannot be asked. */
export class FleetView {
  readonly #options: FleetViewOptions;
  #last: FleetSnapshot = { replicas: [], readAtMs: undefined };
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(options: FleetViewOptions) {
    this.#options = options;
  }

  /** Never rejects, and takes no longer than the log's own timeout. */
  async read(): Promise<FleetSnapshot> {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#asking === undefined && nowMs - this.#askedAtMs >= LIFE_MS) {
      this.#askedAtMs = nowMs;
      this.#asking = this.#ask();
    }
    await this.#asking;
    return this.#last;
  }

  async #ask(): Promise<void> {
    const readAtMs = this.#options.clock.wallMs();
    try {
      this.#last = { replicas: await this.#options.fleet.replicas(NEVER), readAtMs };
    } catch {
      // The feed reports the same trouble; what was known last has its time with it.
    } finally {
      this.#asking = undefined;
    }
  }
}
