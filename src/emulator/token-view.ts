import type { JsonObject } from "./json.ts";
import type { JwtFacts } from "./jwt.ts";
import { isExpired, type TokenRecord } from "./state.ts";

/** The wire form of a token, without its secret. Times are milliseconds since the epoch. */
export function tokenView(token: TokenRecord, nowMs: number): JsonObject {
  return {
    object: "machine_to_machine_token",
    id: token.id,
    subject: token.subject,
    claims: token.claims,
    scopes: token.scopes,
    revoked: token.revokedAtMs !== undefined,
    revocation_reason: token.revocationReason ?? null,
    expired: isExpired(token, nowMs),
    expiration: token.expiresAtMs ?? null,
    last_used_at: token.lastUsedAtMs ?? null,
    created_at: token.createdAtMs,
    updated_at: token.updatedAtMs,
  };
}

/** The same for a JWT, of which nothing is stored: what is not in it is as when it was minted. */
export function jwtView(jwt: JwtFacts, nowMs: number): JsonObject {
  return {
    object: "machine_to_machine_token",
    id: jwt.id,
    subject: jwt.subject,
    claims: jwt.claims,
    scopes: jwt.scopes,
    revoked: false,
    revocation_reason: null,
    expired: jwt.expiresAt * 1000 <= nowMs,
    expiration: jwt.expiresAt * 1000,
    last_used_at: null,
    created_at: jwt.issuedAt * 1000,
    updated_at: jwt.issuedAt * 1000,
  };
}
