import type { Operation } from "./operation.ts";

/** One request to the upstream, watched. */
export interface AttemptSpan {
  /** Tell the upstream which trace the request is part of. */
  readonly headers: Readonly<Record<string, string>>;
  /** Called once, with the status of the answer, or the reason why there is none. */
  end(outcome: { readonly status: number } | { readonly reason: string }): void;
}

/**
 * Begins to watch a request that is about to be sent; `undefined` when nobody watches it.
 * @param repeats how many requests of the same call went before it
 */
export type TraceAttempt = (operation: Operation, method: string, repeats: number) => AttemptSpan | undefined;
