import type { Principal } from "./auth.ts";
import type { Call, World } from "./call.ts";
import { type ApiError, apiError, notFound } from "./errors.ts";
import { objectBody, Problems, unknownKeys } from "./fields.ts";
import { type Answer, ok } from "./http.ts";
import type { Json } from "./json.ts";
import { looksLikeJwt } from "./jwt.ts";
import { isExpired, type TokenRecord } from "./state.ts";
import { jwtView, tokenView } from "./token-view.ts";

/**
 * POST /m2m_tokens/verify: the token, if it is known, alive and, to a machine's key, granted to that machine. Which of
 * these failed is not told.
 */
export async function verifyToken(call: Call, world: World): Promise<Answer> {
  const token = parseVerify(call.body, world.switches.current.verify_legacy_secret);
  return looksLikeJwt(token) ? verifyJwt(token, call.principal, world) : verifyOpaque(token, call.principal, world);
}

function verifyOpaque(secret: string, principal: Principal, world: World): Answer {
  const nowMs = world.clock.nowMs();
  const token = world.state.tokenBySecret(secret);
  if (token === undefined || !isGranted(token.scopes, principal)) throw refusal(world);
  const seen = asVerifySees(token, nowMs, world.switches.current.revoke_propagation_ms);
  if (seen.revokedAtMs !== undefined || isExpired(token, nowMs)) {
    if (world.switches.current.verify_dead_tokens === "refuse") throw refusal(world);
    return ok(tokenView(seen, nowMs));
  }
  token.lastUsedAtMs = nowMs;
  token.updatedAtMs = nowMs;
  return ok(tokenView({ ...seen, lastUsedAtMs: nowMs, updatedAtMs: nowMs }, nowMs));
}

/** A revocation younger than `lagMs` has not reached verification yet. */
function asVerifySees(token: TokenRecord, nowMs: number, lagMs: number): TokenRecord {
  if (token.revokedAtMs === undefined || nowMs - token.revokedAtMs >= lagMs) return token;
  return { ...token, revokedAtMs: undefined, revocationReason: undefined };
}

async function verifyJwt(token: string, principal: Principal, world: World): Promise<Answer> {
  const nowMs = world.clock.nowMs();
  const jwt = await world.jwts.read(token);
  if (jwt === undefined || jwt.notBefore * 1000 > nowMs || !isGranted(jwt.scopes, principal)) throw refusal(world);
  const expired = jwt.expiresAt * 1000 <= nowMs;
  if (expired && world.switches.current.verify_dead_tokens === "refuse") throw refusal(world);
  return ok(jwtView(jwt, nowMs));
}

function isGranted(scopes: readonly string[], principal: Principal): boolean {
  return principal.kind === "instance" || scopes.includes(principal.machine.id);
}

function refusal({ switches }: World): ApiError {
  if (switches.current.verify_refusal_status === 404) return notFound();
  return apiError("bad_request", { longMessage: "The token is not valid" });
}

/** @throws ApiError 400 */
function parseVerify(json: Json | undefined, legacy: boolean): string {
  const body = objectBody(json);
  const problems = new Problems();
  const known = legacy ? ["token", "secret"] : ["token"];
  for (const key of unknownKeys(body, known)) problems.bad(`body.${key}`, "Unrecognized key");
  const token = body.token ?? (legacy ? body.secret : undefined);
  if (typeof token !== "string") problems.bad("body.token", token === undefined ? "Required" : "Expected text");
  problems.throwIfAny(400);
  return String(token);
}
