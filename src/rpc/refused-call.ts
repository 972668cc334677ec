import type { ConnectError } from "@connectrpc/connect";
import { type Limit, overloaded } from "./admission.ts";
import type { PresentError } from "./connect-error.ts";
import type { Exchange } from "./exchange.ts";
import { protocolOf } from "./protocol.ts";
import { Refusal } from "./refusal.ts";

/** Answers calls that are not taken on, at the least cost: what is said is made once for each limit. */
export class RefusedCalls {
  readonly #presentError: PresentError;
  readonly #refusals = new Map<Limit, Refusal>();

  constructor(presentError: PresentError) {
    this.#presentError = presentError;
  }

  /** Returns what the caller is told. */
  answer(exchange: Exchange, limit: Limit): ConnectError {
    const refusal = this.#refusalFor(limit);
    refusal.answer(exchange, protocolOf(exchange.header("content-type")));
    return refusal.error;
  }

  #refusalFor(limit: Limit): Refusal {
    let refusal = this.#refusals.get(limit);
    if (refusal === undefined) {
      refusal = new Refusal(this.#presentError(overloaded(limit)));
      this.#refusals.set(limit, refusal);
    }
    return refusal;
  }
}
