import type { KnownToken } from "../token/observation.ts";
import type { VerdictStore } from "../token/ports.ts";
import type { TokenSecret } from "../token/token.ts";

/** Begins the span of a look-up. Returns how to end it; `undefined` where it is not made for a call. */
export type TraceLookUp = () => ((found: boolean) => void) | undefined;

/** Verdicts shared by the replicas, with a span for each look-up. */
export class TracedStore implements VerdictStore {
  readonly #store: VerdictStore;
  readonly #traceLookUp: TraceLookUp;

  constructor(store: VerdictStore, traceLookUp: TraceLookUp) {
    this.#store = store;
    this.#traceLookUp = traceLookUp;
  }

  async get(secret: TokenSecret, epoch: string): Promise<KnownToken | undefined> {
    const end = this.#traceLookUp();
    let found: KnownToken | undefined;
    try {
      found = await this.#store.get(secret, epoch);
      return found;
    } finally {
      end?.(found !== undefined);
    }
  }

  claim(what: string, leaseMs: number): Promise<boolean> {
    return this.#store.claim(what, leaseMs);
  }

  put(secret: TokenSecret, epoch: string, observation: KnownToken): void {
    this.#store.put(secret, epoch, observation);
  }
}
