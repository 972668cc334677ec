import type { ErrorFacts, FieldViolation, Reason } from "../token/errors.ts";
import { GatewayError } from "../token/errors.ts";
import { type ErrorBody, headerOf, parseErrorBody, traceIdOf, type UpstreamProblem } from "./error-body.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import type { Operation } from "./operation.ts";
import { parseRetryAfter } from "./retry-after.ts";
import { scrub } from "./scrub.ts";

export interface Failure {
  readonly error: GatewayError;
  /** Whether the same request may fare better, for operations that may be repeated at all. */
  readonly repeatable: boolean;
}

export interface ErrorContext {
  readonly operation: Operation;
  /** What must not be repeated to callers, besides what looks like a secret. */
  readonly secrets: readonly string[];
  /** The key was a caller's and not the gateway's. */
  readonly isOwnKey?: boolean;
  readonly wallMs: number;
}

interface Row {
  readonly reason: Reason;
  readonly message: string;
  readonly repeatable?: boolean;
}

/**
 * Codes of a 400 that fault our request and say nothing of the token in it: the API version header, a body or a
 * parameter that the endpoint no longer takes so. To answer "invalid" then would refuse every good token after a change of
 * the API. Every other 400 refuses the token: its form, its state, or its grant.
 */
const FAULTS_OUR_REQUEST = new Set([
  "api_version_invalid",
  "request_body_invalid",
  "request_body_too_large",
  "unsupported_content_type",
  "malformed_request_parameters",
  "missing_query_parameter",
  "form_param_missing",
  "form_param_unknown",
]);

/** What the upstream says of an address that it does not serve; the code is the same as for an unknown token. */
const UNKNOWN_ADDRESS = new Set(["URL not found", "The URL was not found"]);

/**
 * Whether the answer to a verification definitively refuses the token. A 404 or 400 that is not in the upstream's error shape, or
 * that is about our request or address, decides nothing.
 */
export function refusesToken(answer: HttpAnswer): boolean {
  const body = answer.status === 404 || answer.status === 400 ? parseErrorBody(answer) : undefined;
  if (body === undefined) {
    return false;
  }
  return answer.status === 404
    ? !isUnknownAddress(body)
    : !body.problems.some((problem) => FAULTS_OUR_REQUEST.has(problem.code ?? ""));
}

/** The error for an answer that is neither a 2xx nor the refusal of a token. */
export function failureOf(answer: HttpAnswer, context: ErrorContext): Failure {
  const body = parseErrorBody(answer);
  const row =
    context.isOwnKey === true && answer.status === 401
      ? OWN_KEY_REJECTED
      : rowOf(answer.status, body, context.operation);
  const facts = factsOf(answer, body, context.wallMs);
  const repeatable = row.repeatable ?? false;
  if (row.reason !== "UPSTREAM_REJECTED_REQUEST") {
    return { error: new GatewayError(row.reason, row.message, facts), repeatable };
  }
  const problems = body?.problems ?? [];
  const [first] = problems;
  const text = first === undefined ? "" : textOf(first, context);
  const message = text === "" ? row.message : `${row.message}: ${text}`;
  const violations = problems.flatMap((problem) => violationOf(problem, context) ?? []);
  return { error: new GatewayError(row.reason, message, { ...facts, violations }), repeatable };
}

/** A 2xx whose body is of no use. `problem` must not repeat any of it. */
export function badBody(answer: HttpAnswer, problem: string): Failure {
  const facts = { upstreamStatus: answer.status, clerkTraceId: traceIdOf(answer, undefined) };
  const error = new GatewayError("UPSTREAM_BAD_RESPONSE", `the upstream's answer is unusable: ${problem}`, facts);
  return { error, repeatable: true };
}

function rowOf(status: number, body: ErrorBody | undefined, operation: Operation): Row {
  if (status >= 500) {
    return { reason: "UPSTREAM_UNAVAILABLE", message: "the upstream failed to answer the request", repeatable: true };
  }
  if (status < 400) {
    return { reason: "UPSTREAM_BAD_RESPONSE", message: "the upstream redirected, and redirects are never followed" };
  }
  switch (status) {
    case 401:
      return { reason: "UPSTREAM_CREDENTIAL_REJECTED", message: "the upstream rejected the gateway's own key" };
    case 402:
      return QUOTA_EXCEEDED;
    case 403:
      return body?.problems.some((problem) => problem.code === "quota_exceeded")
        ? QUOTA_EXCEEDED
        : { reason: "UPSTREAM_FORBIDDEN", message: "the upstream does not allow this to the gateway's key" };
    case 404:
      return notFoundRow(body, operation);
    case 409:
      return { reason: "UPSTREAM_CONFLICT", message: "the upstream is changing this resource for another request" };
    case 429:
      return { reason: "UPSTREAM_RATE_LIMITED", message: "the upstream limits the rate of requests", repeatable: true };
    case 400:
    case 413:
    case 415:
    case 422:
      return rejectedRow(body, operation);
    default:
      return UNEXPECTED;
  }
}

const OWN_KEY_REJECTED: Row = {
  reason: "CALLER_CREDENTIAL_REJECTED",
  message: "the upstream rejected the caller's own key",
};
const QUOTA_EXCEEDED: Row = { reason: "UPSTREAM_QUOTA_EXCEEDED", message: "the upstream's plan or quota is used up" };
const UNEXPECTED: Row = { reason: "UPSTREAM_BAD_RESPONSE", message: "the upstream answered with an unexpected status" };
const FOREIGN: Row = {
  reason: "UPSTREAM_BAD_RESPONSE",
  message: "the upstream's answer is unusable: the body of the error is not in the upstream's form",
  repeatable: true,
};

function notFoundRow(body: ErrorBody | undefined, operation: Operation): Row {
  if (body === undefined) {
    return FOREIGN;
  }
  if (isUnknownAddress(body)) {
    return {
      reason: "UPSTREAM_BAD_RESPONSE",
      message: "the upstream does not serve this address: check its base URL",
    };
  }
  return operation === "list" || operation === "revoke"
    ? { reason: "UPSTREAM_NOT_FOUND", message: "the upstream knows no such token or machine" }
    : UNEXPECTED;
}

/** The caller of a verification gives nothing but a token, so a complaint about the request is not the caller's to mend. */
function rejectedRow(body: ErrorBody | undefined, operation: Operation): Row {
  if (operation !== "verify") {
    return { reason: "UPSTREAM_REJECTED_REQUEST", message: "the upstream rejected the request" };
  }
  return body === undefined
    ? FOREIGN
    : { reason: "UPSTREAM_BAD_RESPONSE", message: "the upstream does not understand the gateway's request" };
}

function isUnknownAddress(body: ErrorBody): boolean {
  return body.problems.some(
    (problem) => UNKNOWN_ADDRESS.has(problem.message) || UNKNOWN_ADDRESS.has(problem.longMessage),
  );
}

function factsOf(answer: HttpAnswer, body: ErrorBody | undefined, wallMs: number): ErrorFacts {
  return {
    upstreamStatus: answer.status,
    upstreamCode: body?.problems[0]?.code,
    clerkTraceId: traceIdOf(answer, body),
    retryAfterMs:
      answer.status === 429 || answer.status >= 500
        ? parseRetryAfter(headerOf(answer, "retry-after"), wallMs)
        : undefined,
  };
}

const OUR_NAMES: ReadonlyMap<string, string> = new Map([
  ["token_format", "format"],
  ["seconds_until_expiration", "ttl"],
  ["min_remaining_ttl_seconds", "min_remaining_ttl"],
  ["revocation_reason", "reason"],
  ["m2m_token_id", "token_id"],
  ["revoked", "include_revoked"],
  ["expired", "include_expired"],
  ["limit", "page_size"],
  ["offset", "page_token"],
]);

function violationOf(problem: UpstreamProblem, context: ErrorContext): FieldViolation | undefined {
  if (problem.param === undefined) {
    return undefined;
  }
  // With this code the parameter is the name of a claim.
  const name =
    problem.code === "machine_token_reserved_claim" && problem.param !== "claims"
      ? `claims.${problem.param}`
      : (OUR_NAMES.get(problem.param) ?? problem.param);
  return { field: scrub(name, context.secrets), description: textOf(problem, context) };
}

function textOf(problem: UpstreamProblem, context: ErrorContext): string {
  return scrub(problem.longMessage || problem.message, context.secrets);
}
