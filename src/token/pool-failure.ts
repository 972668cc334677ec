import { GatewayError, type Reason } from "./errors.ts";

/** Why there is no newer token in a place of the pool. Instants are on the monotonic clock. */
export interface Failure {
  readonly error: GatewayError;
  /** In a row. */
  readonly count: number;
  /** The upstream is not asked before then. */
  readonly retryAtMs: number;
}

const BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;

/** Failures that a repeat would meet again. */
const LASTING: ReadonlySet<Reason> = new Set([
  "CREDENTIAL_MISSING",
  "UPSTREAM_CREDENTIAL_REJECTED",
  "UPSTREAM_FORBIDDEN",
  "UPSTREAM_REJECTED_REQUEST",
]);

/** A creation has failed, again where there is a `previous` failure. The pause doubles, and is never shorter than asked for. */
export function failureAfter(
  previous: Failure | undefined,
  thrown: unknown,
  nowMs: number,
  random: () => number,
): Failure {
  const error = thrown instanceof GatewayError ? thrown : new GatewayError("INTERNAL", "internal error", {}, thrown);
  const count = (previous?.count ?? 0) + 1;
  // Up to half of it at random, so that replicas that failed together part.
  const pauseMs = Math.min(BACKOFF_MS * 2 ** (count - 1), MAX_BACKOFF_MS) * (1 + random());
  return { error, count, retryAtMs: nowMs + Math.max(pauseMs, error.facts.retryAfterMs ?? 0) };
}

/** The failure, for a caller who comes while the upstream is not asked. */
export function whileItLasts({ error, retryAtMs }: Failure, nowMs: number): GatewayError {
  const facts = LASTING.has(error.reason) ? error.facts : { ...error.facts, retryAfterMs: retryAtMs - nowMs };
  return new GatewayError(error.reason, error.message, facts, error);
}

export function outlived(): GatewayError {
  const description = "is more than such a token lives";
  const violations = [{ field: "min_remaining_ttl", description }];
  return new GatewayError("ARGUMENT_INVALID", `min_remaining_ttl: ${description}`, { violations });
}

export function unsure(message: string): GatewayError {
  return new GatewayError("TOKEN_UNSURE", message);
}
