import type { Admission } from "./admission.ts";
import type { Exchange } from "./exchange.ts";

/** What one call under way takes up, until nothing of it is left. */
export class CallPlace {
  readonly #admission: Admission;
  #heldBytes = 0;
  #isFree = false;

  constructor(admission: Admission) {
    this.#admission = admission;
    admission.inFlight += 1;
  }

  /** Counts bytes that stay in memory until the call is over. @throws GatewayError OVERLOADED when there are too many */
  hold(bytes: number): void {
    if (this.#isFree) return;
    this.#admission.hold(bytes, this.#heldBytes);
    this.#heldBytes += bytes;
  }

  free(): void {
    if (this.#isFree) return;
    this.#isFree = true;
    this.#admission.inFlight -= 1;
    this.#admission.release(this.#heldBytes);
  }
}

/** Probes answer at once. Of those that stay nonetheless, waiting for their caller, so many may. */
const MAX_PROBES = 256;

/**
 * Probes under way. None is ever refused, and yet there are never many: the oldest gives way, which has been waiting for
 * its caller the longest.
 */
export class Probes {
  readonly #open = new Set<Exchange>();

  add(exchange: Exchange): void {
    this.#open.add(exchange);
    exchange.whenOver(() => this.#open.delete(exchange));
    if (this.#open.size <= MAX_PROBES) return;
    const [oldest] = this.#open;
    if (oldest === undefined) return;
    this.#open.delete(oldest);
    oldest.destroy();
  }
}
