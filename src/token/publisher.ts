import type { Cursor } from "./cursor.ts";
import type { Clock, RevocationFact, RevocationLog } from "./ports.ts";
import type { Recorder } from "./recorder.ts";

/** How far a revocation must have reached, or has. */
export type Propagation = "replica" | "fleet";

export interface Published {
  readonly cursor: Cursor;
  readonly propagation: Propagation;
  /** The replicas that did not confirm it, but cannot be using cached verdicts any more; `*` for whoever there is. */
  readonly unconfirmed: readonly string[];
}

export interface PublisherOptions {
  readonly recorder: Recorder;
  readonly log: RevocationLog;
  readonly clock: Clock;
  /** The staleness bound B. */
  readonly boundMs: number;
}

/** For the log to say who did not confirm, when somebody's lease runs out just at the bound. */
const FLEET_GRACE_MS = 50;

/** Puts facts into the log and waits until they have reached as far as they must. */
export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** @throws GatewayError REVOKED_NOT_BROADCAST */
  async publish(fact: RevocationFact, wait: Propagation): Promise<Published> {
    const { recorder, log } = this.#options;
    const cursor = await recorder.record(fact);
    if (log.shared && wait === "replica") return { cursor, propagation: "replica", unconfirmed: [] };
    return { cursor, propagation: "fleet", unconfirmed: await this.#reachFleet(cursor) };
  }

  /**
   * Whatever happens to the log meanwhile, B after the append is late enough: a replica that has not applied the fact by
   * then has had no contact since before it, and has suspended its caches.
   */
  async #reachFleet(cursor: Cursor): Promise<readonly string[]> {
    const { log, clock, boundMs } = this.#options;
    const controller = new AbortController();
    let cancelTimer = () => {};
    const bound = new Promise<readonly string[]>((resolve) => {
      cancelTimer = clock.after(boundMs + FLEET_GRACE_MS, () => resolve(["*"]));
    });
    try {
      return await Promise.race([log.awaitFleet(cursor, controller.signal).catch(() => bound), bound]);
    } finally {
      cancelTimer();
      controller.abort();
    }
  }
}
