import { canceled } from "../token/errors.ts";
import type { InvalidationTarget } from "../token/verdict-cache.ts";
import type { Channel } from "./channel.ts";
import { type InvalidationMessage, parseInvalidation } from "./invalidation-messages.ts";

/** A worker's part of InvalidateCache: an `InvalidationRelay` is at the other end of the channel. */
export class RelayedInvalidations {
  readonly #channel: Channel;
  readonly #onError: (error: unknown) => void;
  readonly #open = new Map<number, () => void>();
  #lastId = 0;

  /** @param onError the primary sent what cannot be understood */
  constructor(channel: Channel, onError: (error: unknown) => void) {
    this.#channel = channel;
    this.#onError = onError;
  }

  /** Forgets what other workers are told to forget. To be called before this worker says that it serves. */
  follow(forget: (target: InvalidationTarget) => void): void {
    this.#channel.listen((message) => {
      try {
        const said = parseInvalidation(message);
        if (said?.kind === "invalidate") {
          forget(said.target);
          this.#send({ kind: "invalidated", id: said.id });
        } else if (said?.kind === "invalidated") this.#open.get(said.id)?.();
      } catch (error) {
        this.#onError(error);
      }
    });
  }

  /**
   * Resolves when every other worker has forgotten. One that hangs is waited for until it is ended.
   * @throws GatewayError CANCELED; they may forget all the same
   */
  spread(target: InvalidationTarget, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(canceled());
      this.#lastId += 1;
      const id = this.#lastId;
      const settle = (action: () => void) => {
        this.#open.delete(id);
        signal.removeEventListener("abort", abort);
        action();
      };
      const abort = () => settle(() => reject(canceled()));
      signal.addEventListener("abort", abort, { once: true });
      this.#open.set(id, () => settle(resolve));
      this.#send({ kind: "invalidate", id, target });
    });
  }

  #send(message: InvalidationMessage): void {
    this.#channel.send(message);
  }
}
