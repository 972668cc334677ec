import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.ts";
import { type ErrorFacts, GatewayError, type Reason } from "../token/errors.ts";

/** The ErrorInfo.domain of every error of the gateway. */
const ERROR_DOMAIN = "m2m-gateway";

/**
 * Reasons of errors that arise before or around the domain. Like the domain's own they are stable and explained in
 * docs/failure-modes.md.
 */
export type TransportReason =
  | "DEADLINE_EXCEEDED"
  | "MALFORMED_REQUEST"
  | "MESSAGE_TOO_LARGE"
  | "SERVICE_UNKNOWN"
  | "UNIMPLEMENTED";

/** Exhaustive: a new reason does not compile until its code is chosen here. */
const CODES: Record<Reason, Code> = {
  UPSTREAM_UNAVAILABLE: Code.Unavailable,
  UPSTREAM_BAD_RESPONSE: Code.Unavailable,
  UPSTREAM_TIMEOUT: Code.DeadlineExceeded,
  UPSTREAM_RATE_LIMITED: Code.ResourceExhausted,
  UPSTREAM_CREDENTIAL_REJECTED: Code.Internal,
  UPSTREAM_FORBIDDEN: Code.PermissionDenied,
  UPSTREAM_QUOTA_EXCEEDED: Code.ResourceExhausted,
  UPSTREAM_REJECTED_REQUEST: Code.InvalidArgument,
  UPSTREAM_NOT_FOUND: Code.NotFound,
  UPSTREAM_CONFLICT: Code.Aborted,
  CREDENTIAL_MISSING: Code.FailedPrecondition,
  OVERLOADED: Code.ResourceExhausted,
  TOKEN_NOT_FOUND: Code.NotFound,
  TOKEN_UNSURE: Code.Unavailable,
  REVOKED_NOT_BROADCAST: Code.Unavailable,
  ARGUMENT_INVALID: Code.InvalidArgument,
  CURSOR_MALFORMED: Code.InvalidArgument,
  CURSOR_OF_ANOTHER_LOG: Code.FailedPrecondition,
  CURSOR_NOT_REACHED: Code.Unavailable,
  UNSYNCED: Code.Unavailable,
  SIGNING_KEY_UNKNOWN: Code.Unavailable,
  PAGE_TOKEN_INVALID: Code.InvalidArgument,
  CALLER_UNAUTHENTICATED: Code.Unauthenticated,
  CALLER_FORBIDDEN: Code.PermissionDenied,
  CALLER_RATE_LIMITED: Code.ResourceExhausted,
  CALLER_CONCURRENCY_LIMITED: Code.ResourceExhausted,
  CALLER_CHANGED: Code.Unavailable,
  CALLER_CREDENTIAL_REJECTED: Code.Unauthenticated,
  PASSTHROUGH_DISABLED: Code.FailedPrecondition,
  SLOW_CONSUMER: Code.ResourceExhausted,
  DRAINING: Code.Unavailable,
  CANCELED: Code.Canceled,
  INTERNAL: Code.Internal,
};

/**
 * Bounds on what an error may carry, in UTF-8. gRPC sends it as metadata, the message percent-encoded and all of it in
 * base64, and some clients (Java among them) refuse more than 8 KiB of metadata: together it stays below 7 KiB.
 */
const MAX_VIOLATIONS = 10;
const MAX_FIELD_BYTES = 96;
const MAX_DESCRIPTION_BYTES = 160;
const MAX_MESSAGE_BYTES = 384;
const MAX_METADATA_BYTES = 128;

/** See `connectErrorFrom`. */
export type PresentError = (thrown: unknown, signal?: AbortSignal) => ConnectError;

/**
 * The one way from whatever was thrown to what a caller may see: code, reason, a safe message, google.rpc details. What
 * was thrown stays as `cause`, for the log.
 *
 * @param signal of the call. Work that stopped because the signal was aborted fails with the reason of the abort: a
 *   deadline that passed is not a cancellation.
 */
export function connectErrorFrom(thrown: unknown, signal?: AbortSignal): ConnectError {
  const error = signal?.aborted === true && isCancellation(thrown) ? signal.reason : thrown;
  if (error instanceof GatewayError) return fromGatewayError(error);
  if (error instanceof ConnectError) return reasonOf(error) === undefined ? fromFramework(error) : error;
  if (isCancellation(error)) return transportError(Code.Canceled, "CANCELED", "the call was canceled", error);
  return transportError(Code.Internal, "INTERNAL", "internal error", error);
}

/** The same as a message, for errors inside an answer. */
export function statusFrom(thrown: unknown, signal?: AbortSignal): Status {
  const error = connectErrorFrom(thrown, signal);
  const details = error.details.map((detail) =>
    "desc" in detail
      ? anyPack(detail.desc, create(detail.desc, detail.value))
      : { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value },
  );
  return create(StatusSchema, { code: error.code, message: error.rawMessage, details });
}

/** An error that the transport itself reports, with a message safe to show. */
export function transportError(
  code: Code,
  reason: TransportReason | Reason,
  message: string,
  cause?: unknown,
  metadata?: Headers,
): ConnectError {
  return build(code, reason, message, {}, cause, metadata);
}

/** ErrorInfo.reason, where the error is one of ours. */
export function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema).find((info) => info.domain === ERROR_DOMAIN)?.reason;
}

function fromGatewayError(error: GatewayError): ConnectError {
  return build(CODES[error.reason], error.reason, error.message, error.facts, error);
}

/**
 * Errors that the RPC framework raised. Their text is replaced: the parser's quotes the request, which may hold a token.
 * The framework reports a binary request it cannot read as INTERNAL; it is the caller's mistake, as it is in JSON.
 */
function fromFramework(error: ConnectError): ConnectError {
  const { rawMessage: text, metadata } = error;
  switch (error.code) {
    case Code.Canceled:
      return transportError(Code.Canceled, "CANCELED", "the call was canceled by its caller", error);
    case Code.DeadlineExceeded:
      return transportError(error.code, "DEADLINE_EXCEEDED", "the call's deadline passed", error);
    case Code.ResourceExhausted:
      return transportError(error.code, "MESSAGE_TOO_LARGE", "a message is larger than the gateway allows", error);
    case Code.Unimplemented:
      return transportError(error.code, "UNIMPLEMENTED", unimplementedText(text), error, metadata);
    case Code.InvalidArgument:
      return transportError(error.code, "MALFORMED_REQUEST", malformedText(text), error);
    case Code.Internal:
      if (UNREADABLE.test(text)) {
        return transportError(Code.InvalidArgument, "MALFORMED_REQUEST", malformedText(text), error);
      }
      // The one mistake of a caller's that gRPC wants to be INTERNAL (its compression specification).
      if (text.startsWith("received compressed envelope")) {
        const message = "the request has a compressed message but does not name the compression";
        return transportError(Code.Internal, "MALFORMED_REQUEST", message, error);
      }
      return transportError(Code.Internal, "INTERNAL", "internal error", error);
    default:
      return transportError(error.code, "INTERNAL", "the call failed", error);
  }
}

const UNREADABLE = /^(parse binary|decompression failed)/;

function malformedText(text: string): string {
  if (/^protocol error: invalid (grpc|connect) timeout value/.test(text)) {
    return (
      "the timeout is malformed: grpc-timeout is up to 8 digits and one of H M S m u n, " +
      "connect-timeout-ms up to 10 digits"
    );
  }
  return "the request cannot be read: wrong encoding, wrong types, cut short, or nested too deeply";
}

function unimplementedText(text: string): string {
  if (text.startsWith("unknown compression")) return "the request's compression is not supported: use gzip or none";
  if (text.startsWith("protocol error: ")) return "this call takes exactly one request message";
  return "the gateway does not implement this call";
}

function build(
  code: Code,
  reason: string,
  message: string,
  facts: ErrorFacts,
  cause: unknown,
  metadata?: Headers,
): ConnectError {
  const details = [
    detail(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN, metadata: metadataOf(facts) }),
    ...(facts.retryAfterMs === undefined ? [] : [detail(RetryInfoSchema, retryInfoOf(facts.retryAfterMs))]),
    ...(facts.violations === undefined ? [] : [detail(BadRequestSchema, badRequestOf(facts.violations))]),
  ];
  return new ConnectError(clip(message, MAX_MESSAGE_BYTES), code, metadata, details, cause);
}

function detail<D extends DescMessage>(desc: D, value: MessageInitShape<D>): { desc: D; value: MessageInitShape<D> } {
  return { desc, value };
}

function metadataOf(facts: ErrorFacts): Record<string, string> {
  const named = {
    upstream_status: facts.upstreamStatus?.toString(),
    upstream_code: facts.upstreamCode,
    clerk_trace_id: facts.clerkTraceId,
    cursor: facts.cursor,
    limit: facts.limit,
  };
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(named)) {
    if (value !== undefined) metadata[name] = clip(value, MAX_METADATA_BYTES);
  }
  return metadata;
}

/** Whole milliseconds, never less than asked for. */
function retryInfoOf(retryAfterMs: number): MessageInitShape<typeof RetryInfoSchema> {
  return { retryDelay: durationFromMs(Math.max(0, Math.ceil(retryAfterMs))) };
}

function badRequestOf(violations: ErrorFacts["violations"] & object): MessageInitShape<typeof BadRequestSchema> {
  const fieldViolations = violations.slice(0, MAX_VIOLATIONS).map(({ field, description }) => ({
    field: clip(field, MAX_FIELD_BYTES),
    description: clip(description, MAX_DESCRIPTION_BYTES),
  }));
  return { fieldViolations };
}

/** Whole characters only. Lone surrogates, which upstream JSON can hold, are replaced: UTF-8 and headers have none. */
function clip(text: string, maxBytes: number): string {
  return new TextDecoder().decode(Buffer.from(text).subarray(0, maxBytes), { stream: true });
}

function isCancellation(thrown: unknown): boolean {
  if (thrown instanceof GatewayError) return thrown.reason === "CANCELED";
  if (thrown instanceof ConnectError) return thrown.code === Code.Canceled;
  return thrown instanceof Error && thrown.name === "AbortError";
}
