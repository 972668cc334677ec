import type { Json } from "../token/token.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import { isObject, optional, parseJson } from "./wire.ts";

export interface UpstreamProblem {
  /** Stable, lower-case; `undefined` when it is not of that form. */
  readonly code: string | undefined;
  readonly message: string;
  readonly longMessage: string;
  /** The parameter at fault, in the upstream's names. */
  readonly param: string | undefined;
}

/** The body of an error of the upstream. Its texts are untrusted. */
export interface ErrorBody {
  /** At least one. */
  readonly problems: readonly UpstreamProblem[];
  readonly traceId: string | undefined;
}

/** Words, as Clerk's codes are: nothing that a key or a secret could pass for. */
const CODE = /^(?!(?:ak|sk|mt)_)[a-z]{2,24}(?:_(?:[a-z]{1,24}|\d{1,4}))*$/;
/** Clerk's own form, or that of the cf-ray header. */
const TRACE_ID = /^(?:[0-9a-f]{32}|[0-9a-f]{16}(?:-[A-Z]{3})?)$/;
const TRACE_HEADERS = ["x-clerk-trace-id", "clerk-trace-id", "cf-ray"];
const MAX_PROBLEMS = 20;

/**
 * The body in the upstream's error shape, or `undefined` when it is not: then something between the gateway and the
 * upstream answered, and the status is not the upstream's word.
 */
export function parseErrorBody(answer: HttpAnswer): ErrorBody | undefined {
  const body = jsonOf(answer);
  const errors = isObject(body) ? optional(body, "errors") : undefined;
  if (!isObject(body) || !Array.isArray(errors)) {
    return undefined;
  }
  const problems = errors.slice(0, MAX_PROBLEMS).flatMap((item: Json) => problemOf(item) ?? []);
  return problems.length === 0 ? undefined : { problems, traceId: textOf(optional(body, "clerk_trace_id"), TRACE_ID) };
}

/** The trace id of an answer, by its body or its headers. */
export function traceIdOf(answer: HttpAnswer, body: ErrorBody | undefined): string | undefined {
  return (
    body?.traceId ??
    TRACE_HEADERS.map((name) => textOf(headerOf(answer, name), TRACE_ID)).find((id) => id !== undefined)
  );
}

export function headerOf(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function jsonOf(answer: HttpAnswer): Json | undefined {
  if (!("text" in answer.body)) {
    return undefined;
  }
  try {
    return parseJson(answer.body.text);
  } catch {
    return undefined;
  }
}

function problemOf(item: Json): UpstreamProblem | undefined {
  const code = isObject(item) ? optional(item, "code") : undefined;
  if (!isObject(item) || typeof code !== "string") {
    return undefined;
  }
  const meta = optional(item, "meta");
  const param = isObject(meta) ? (optional(meta, "param_name") ?? optional(meta, "name")) : undefined;
  return {
    code: textOf(code, CODE),
    message: textOf(optional(item, "message"), /^/) ?? "",
    longMessage: textOf(optional(item, "long_message"), /^/) ?? "",
    param: textOf(param, /^[\w.[\]-]{1,64}$/),
  };
}

function textOf(value: Json | undefined, form: RegExp): string | undefined {
  return typeof value === "string" && form.test(value) ? value : undefined;
}
