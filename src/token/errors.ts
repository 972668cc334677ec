/**
 * The stable codes of everything that can go wrong, as callers see them in ErrorInfo.reason. A bad token is not among
 * them: that is a verdict. docs/failure-modes.md explains each.
 */
export type Reason =
  | "UPSTREAM_UNAVAILABLE"
  | "UPSTREAM_BAD_RESPONSE"
  | "UPSTREAM_TIMEOUT"
  | "UPSTREAM_RATE_LIMITED"
  | "UPSTREAM_CREDENTIAL_REJECTED"
  | "UPSTREAM_FORBIDDEN"
  | "UPSTREAM_QUOTA_EXCEEDED"
  | "UPSTREAM_REJECTED_REQUEST"
  | "UPSTREAM_NOT_FOUND"
  | "UPSTREAM_CONFLICT"
  | "CREDENTIAL_MISSING"
  | "OVERLOADED"
  | "TOKEN_NOT_FOUND"
  | "TOKEN_UNSURE"
  | "REVOKED_NOT_BROADCAST"
  | "ARGUMENT_INVALID"
  | "CURSOR_MALFORMED"
  | "CURSOR_OF_ANOTHER_LOG"
  | "CURSOR_NOT_REACHED"
  | "UNSYNCED"
  | "SIGNING_KEY_UNKNOWN"
  | "PAGE_TOKEN_INVALID"
  | "CALLER_UNAUTHENTICATED"
  | "CALLER_FORBIDDEN"
  | "CALLER_RATE_LIMITED"
  | "CALLER_CONCURRENCY_LIMITED"
  | "CALLER_CHANGED"
  | "CALLER_CREDENTIAL_REJECTED"
  | "PASSTHROUGH_DISABLED"
  | "SLOW_CONSUMER"
  | "DRAINING"
  | "CANCELED"
  | "INTERNAL";

export interface FieldViolation {
  /** Path of the field in the request, in the caller's names where they are known. */
  readonly field: string;
  readonly description: string;
}

export interface ErrorFacts {
  /** HTTP status of the upstream's answer. */
  readonly upstreamStatus?: number | undefined;
  /** The upstream's own error code, for example `quota_exceeded`. */
  readonly upstreamCode?: string | undefined;
  /** The upstream's trace id, to give to its support. */
  readonly clerkTraceId?: string | undefined;
  /** When a repeat of the call makes sense, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  /** Which bound of the gateway refused the call. */
  readonly limit?: string | undefined;
  /** Where a stream can be resumed. */
  readonly cursor?: string | undefined;
  readonly violations?: readonly FieldViolation[] | undefined;
}

/** The only error the domain throws. `message` is safe to show to callers; `cause` is not and stays inside. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly reason: Reason;
  readonly facts: ErrorFacts;

  constructor(reason: Reason, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.facts = facts;
  }
}

export function canceled(): GatewayError {
  return new GatewayError("CANCELED", "the call was canceled by its caller");
}
