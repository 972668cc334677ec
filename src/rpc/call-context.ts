import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import { GatewayError } from "../token/errors.ts";
import type { CallOutcome } from "./call-report.ts";

/** What one call carries through the RPC framework. */
export interface CallContext {
  /** Aborted when the server begins to drain. Never, for unary calls: they are given the time to finish. */
  readonly drain: AbortSignal;
  /** What was thrown, before it was made presentable. `undefined` until the call fails. */
  thrown: unknown;
  /** What a verification decided, once it has. */
  outcome?: CallOutcome;
}

const KEY = createContextKey<CallContext | undefined>(undefined, { description: "call" });

export function contextValuesOf(context: CallContext): ContextValues {
  return createContextValues().set(KEY, context);
}

/**
 * The signal by which a stream learns that the gateway is going away and that it should end itself, with reason
 * DRAINING. Distinct from the handler's own `signal`, which says that nobody listens any more.
 */
export function drainOf(values: ContextValues): AbortSignal {
  return values.get(KEY)?.drain ?? AbortSignal.any([]);
}

/** What ends a stream when the gateway goes away. */
export function drainingError(): GatewayError {
  return new GatewayError("DRAINING", "the gateway is shutting down");
}

export function noteThrown(values: ContextValues, thrown: unknown): void {
  const context = values.get(KEY);
  if (context !== undefined) context.thrown = thrown;
}

export function noteOutcome(values: ContextValues, outcome: CallOutcome): void {
  const context = values.get(KEY);
  if (context !== undefined) context.outcome = outcome;
}
