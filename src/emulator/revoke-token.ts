import type { Call, World } from "./call.ts";
import { apiError, notFound } from "./errors.ts";
import { objectBody, Problems, unknownKeys } from "./fields.ts";
import { type Answer, ok } from "./http.ts";
import type { Json } from "./json.ts";
import { tokenView } from "./token-view.ts";

/** POST /m2m_tokens/{id}/revoke: a machine's key revokes that machine's own tokens only, others do not exist for it. */
export function revokeToken({ principal, params, body }: Call, { state, clock, switches }: World): Answer {
  const { id, reason } = parseRevoke(params[0] ?? "", body);
  const token = state.token(id);
  if (token === undefined) throw notFound();
  if (principal.kind === "machine" && principal.machine.id !== token.subject) throw notFound();
  if (token.revokedAtMs === undefined) state.revoke(token, reason);
  else if (switches.current.revoke_again === "not_found") throw notFound();
  else if (switches.current.revoke_again === "conflict") throw apiError("conflict");
  return ok(tokenView(token, clock.nowMs()));
}

/** @throws ApiError 400 */
function parseRevoke(id: string, json: Json | undefined): { id: string; reason: string | undefined } {
  const problems = new Problems();
  if (!/^mt_[0-9A-Fa-f]{32}$/.test(id)) problems.bad("url_parameter.m2m_token_id", "Failed regex check");
  problems.throwIfAny(400);
  const body = objectBody(json);
  for (const key of unknownKeys(body, ["revocation_reason"])) problems.bad(`body.${key}`, "Unrecognized key");
  const reason = body.revocation_reason ?? undefined;
  if (reason !== undefined && typeof reason !== "string") problems.bad("body.revocation_reason", "Expected text");
  problems.throwIfAny(400);
  return { id: id.toLowerCase(), reason: typeof reason === "string" ? reason : undefined };
}
