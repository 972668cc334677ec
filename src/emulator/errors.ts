import type { Json, JsonObject } from "./json.ts";

interface Entry {
  readonly status: number;
  readonly message: string;
  readonly longMessage: string;
}

/** The errors this API answers with, or that a fault may borrow: the published code, status and texts of each. */
const CATALOGUE = {
  bad_request: entry(400, "Bad Request", "Bad request"),
  request_body_invalid: entry(
    400,
    "Request body invalid",
    "The request body is invalid. Please consult the API documentation for more information.",
  ),
  api_version_invalid: entry(400, "invalid API version", "Invalid Clerk API version"),
  machine_token_reserved_claim: entry(400, "reserved claim used", "You can't use the reserved claim"),
  authorization_header_format_invalid: entry(
    401,
    "Invalid Authorization header format",
    "Invalid Authorization header format. Must be 'Bearer <YOUR_API_KEY>'",
  ),
  authentication_invalid: entry(
    401,
    "Invalid authentication",
    "Unable to authenticate the request, you need to supply an active session",
  ),
  clerk_key_invalid: sameText(
    401,
    "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.",
  ),
  machine_secret_key_invalid: sameText(
    401,
    "The provided Machine Secret Key is invalid. Make sure that your Machine Secret Key is correct.",
  ),
  unsupported_subscription_plan_features: entry(
    402,
    "Unsupported plan features",
    "Some features are not supported in your current plan. Upgrade your subscription to unlock them.",
  ),
  authorization_invalid: entry(403, "Unauthorized request", "You are not authorized to perform this request"),
  quota_exceeded: entry(403, "Quota exceeded", "Quota exceeded, you have reached your limit."),
  feature_not_enabled: entry(403, "not enabled", "This feature is not enabled on this instance"),
  resource_not_found: entry(404, "not found", "Resource not found"),
  conflict: sameText(409, "Conflict"),
  resource_locked: entry(
    409,
    "resource busy",
    "This resource is currently being modified by another request. Please try again.",
  ),
  request_body_too_large: entry(413, "Request body too large", "The request body exceeds the maximum allowed size."),
  unsupported_content_type: entry(415, "Content-Type is unsupported", "Content-Type is unsupported."),
  form_param_missing: entry(422, "is missing", "A required parameter must be included."),
  form_param_unknown: entry(422, "is unknown", "A parameter is not valid for this request."),
  form_param_type_invalid: entry(422, "is invalid", "A parameter is of the wrong type."),
  form_param_value_invalid: entry(422, "is invalid", "A parameter has an invalid value."),
  too_many_requests: entry(429, "Too many requests", "Too many requests, retry later"),
  internal_clerk_error: entry(
    500,
    "Oops, an unexpected error occurred",
    "There was an internal error on our servers. We've been notified and are working on fixing it.",
  ),
  service_unavailable: sameText(503, "Service unavailable"),
  gateway_timeout: entry(504, "Gateway Timeout", "A request to a 3rd party service timed out"),
};

export type ErrorCode = keyof typeof CATALOGUE;

/** One element of `errors` in an error body. */
export interface ErrorItem {
  readonly message: string;
  readonly long_message: string;
  readonly code: string;
  readonly meta?: JsonObject;
}

interface Details {
  readonly message?: string;
  readonly longMessage?: string;
  /** The parameter at fault: `meta.param_name`, where the official SDK looks for it. */
  readonly param?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer other than success. Its texts go to the client: they never hold a key or a token. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly items: readonly ErrorItem[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, items: readonly ErrorItem[], headers: Readonly<Record<string, string>> = {}) {
    super(items[0]?.long_message ?? "error");
    this.status = status;
    this.items = items;
    this.headers = headers;
  }
}

export function apiError(code: ErrorCode, details: Details = {}): ApiError {
  return new ApiError(CATALOGUE[code].status, [errorItem(code, details)], details.headers);
}

export function errorItem(code: ErrorCode, details: Details = {}): ErrorItem {
  const { message, longMessage } = CATALOGUE[code];
  const item = { message: details.message ?? message, long_message: details.longMessage ?? longMessage, code };
  return details.param === undefined ? item : { ...item, meta: { param_name: details.param } };
}

export function notFound(): ApiError {
  return apiError("resource_not_found");
}

/**
 * The error of a fault: `code` in the catalogue's words, or in none when the catalogue lacks it; without a code, the
 * one that goes with the status.
 */
export function faultError(status: number | undefined, code: string | undefined): ApiError {
  const known = isErrorCode(code) ? code : undefined;
  const chosen = status ?? (known === undefined ? 500 : CATALOGUE[known].status);
  if (known !== undefined) return new ApiError(chosen, [errorItem(known)]);
  if (code === undefined) return new ApiError(chosen, [errorItem(codeOfStatus(chosen))]);
  return new ApiError(chosen, [{ message: "Injected fault", long_message: "Injected fault", code }]);
}

export function errorBody(items: readonly ErrorItem[], traceId: string): Json {
  return { errors: items.map((item) => ({ ...item })), clerk_trace_id: traceId };
}

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  401: "clerk_key_invalid",
  402: "unsupported_subscription_plan_features",
  403: "authorization_invalid",
  404: "resource_not_found",
  409: "conflict",
  413: "request_body_too_large",
  415: "unsupported_content_type",
  422: "form_param_value_invalid",
  429: "too_many_requests",
  503: "service_unavailable",
  504: "gateway_timeout",
};

function codeOfStatus(status: number): ErrorCode {
  return CODE_OF_STATUS[status] ?? (status < 500 ? "bad_request" : "internal_clerk_error");
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(CATALOGUE, code);
}

function entry(status: number, message: string, longMessage: string): Entry {
  return { status, message, longMessage };
}

function sameText(status: number, message: string): Entry {
  return { status, message, longMessage: message };
}
