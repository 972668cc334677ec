import type { Call, World } from "./call.ts";
import { apiError, notFound } from "./errors.ts";
import { Problems, wholeNumber } from "./fields.ts";
import { type Answer, ok } from "./http.ts";
import { isExpired } from "./state.ts";
import { tokenView } from "./token-view.ts";

interface ListRequest {
  readonly subject: string;
  readonly revoked: boolean;
  readonly expired: boolean;
  readonly limit: number;
  readonly offset: number;
}

/** GET /m2m_tokens: a machine's opaque tokens, newest first; a machine's key sees its own only. */
export function listTokens({ principal, query }: Call, { state, clock }: World): Answer {
  const request = parseList(query);
  const { subject, limit, offset } = request;
  if (principal.kind === "machine" && principal.machine.id !== subject) throw apiError("authorization_invalid");
  const tokens = state.tokensOf(subject);
  if (tokens.length === 0 && state.machine(subject) === undefined) throw notFound();
  const nowMs = clock.nowMs();
  const matching = tokens
    .filter((token) => request.revoked || token.revokedAtMs === undefined)
    .filter((token) => request.expired || !isExpired(token, nowMs))
    .toReversed();
  const page = matching.slice(offset, offset + limit);
  return ok({ m2m_tokens: page.map((token) => tokenView(token, nowMs)), total_count: matching.length });
}

/** @throws ApiError 400 */
function parseList(query: URLSearchParams): ListRequest {
  const problems = new Problems();
  const subject = query.get("subject");
  if (subject === null) problems.bad("query_parameter.subject", "Required");
  else if (!/^mch_\w{27}$/.test(subject)) problems.bad("query_parameter.subject", "Failed regex check");
  const flag = (name: string) => {
    const text = query.get(name) ?? "";
    if (!["", "null", "true", "false"].includes(text))
      problems.bad(`query_parameter.${name}`, "Expected true or false");
    return text === "true";
  };
  const number = (name: string, fallback: number, min: number, max: number) => {
    const value = wholeNumber(query.get(name) ?? String(fallback), min, max);
    if (value === undefined) problems.bad(`query_parameter.${name}`, `Expected a whole number from ${min} to ${max}`);
    return value ?? fallback;
  };
  const request = {
    subject: subject ?? "",
    revoked: flag("revoked"),
    expired: flag("expired"),
    limit: number("limit", 10, 1, 100),
    offset: number("offset", 0, 0, Number.MAX_SAFE_INTEGER),
  };
  problems.throwIfAny(400);
  return request;
}
