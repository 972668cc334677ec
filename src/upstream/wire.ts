import type { ListTokens, TokenPage } from "../token/ports.ts";
import type { CreatedToken, Json, MachineId, Token, TokenFormat, TokenId, TokenSecret } from "../token/token.ts";

type JsonObject = { readonly [key: string]: Json };

/** What a body has wrong. Names the field and never its value, which may be a secret. */
export class WireError extends Error {
  override readonly name = "WireError";
  readonly field: string;

  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
  }
}

const TOKEN_ID = /^mt_[0-9A-Za-z]{32}$/;
const MACHINE_ID = /^mch_\w{27}$/;
const SECRET = /^[\x21-\x7e]{1,16384}$/;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** The last instant that a Date can hold. */
const MAX_TIME_MS = 8.64e15;
/** Deeper claims would overflow the stack of whoever walks them by recursion. The gateway itself creates 32 levels. */
const MAX_CLAIMS_DEPTH = 30;
/** Longer texts are cut: they go into every list and stream that tells of the token. */
const MAX_TEXT_CHARS = 500;

/** The format of a token, by its secret's shape: three base64url parts are a JWT. */
export function formatOfSecret(secret: TokenSecret): TokenFormat {
  return JWT.test(secret) ? "jwt" : "opaque";
}

/** @throws WireError */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    // The parser's own message quotes the text.
    throw new WireError("the body", "is not JSON");
  }
}

/** The answer to a creation: the token with its secret. @throws WireError */
export function parseCreatedToken(body: Json): CreatedToken {
  const fields = objectOf(body, "the body");
  const secret = patternOf(required(fields, "token", ""), "token", SECRET) as TokenSecret;
  return { token: parseToken(body, formatOfSecret(secret)), secret };
}

/** The answer to a revocation. @throws WireError when it is not the token `id`, revoked */
export function parseRevokedToken(body: Json, id: TokenId): Token {
  // Only opaque tokens are stored, so only they can be revoked or listed.
  const token = parseToken(body, "opaque");
  if (token.id !== id) {
    throw new WireError("id", "is not the one asked for");
  }
  if (!token.revoked) {
    throw new WireError("revoked", "is false after a revocation");
  }
  return token;
}

/** The answer to a list. @throws WireError */
export function parseTokenPage(body: Json, request: ListTokens): TokenPage {
  const fields = objectOf(body, "the body");
  const items = arrayOf(required(fields, "m2m_tokens", ""), "m2m_tokens");
  if (items.length > request.limit) {
    throw new WireError("m2m_tokens", "holds more items than were asked for");
  }
  const tokens = items.map((item, index) => {
    const token = parseToken(item, "opaque", `m2m_tokens[${index}]`);
    if (token.subject !== request.subject) {
      throw new WireError(`m2m_tokens[${index}].subject`, "is not the one asked for");
    }
    return token;
  });
  const totalCount = required(fields, "total_count", "");
  if (typeof totalCount !== "number" || !Number.isSafeInteger(totalCount) || totalCount < 0) {
    throw new WireError("total_count", "is not a count");
  }
  return { tokens, totalCount };
}

/**
 * A token object, at `path` in the body. Fields that are not known are ignored; `claims` and `scopes` may be absent, all
 * others must be there.
 *
 * @throws WireError
 */
export function parseToken(value: Json, format: TokenFormat, path = ""): Token {
  const fields = objectOf(value, path === "" ? "the body" : path);
  const at = (name: string): string => (path === "" ? name : `${path}.${name}`);
  const field = (name: string): Json => required(fields, name, path);
  if (field("object") !== "machine_to_machine_token") {
    throw new WireError(at("object"), "is not machine_to_machine_token");
  }
  return {
    id: patternOf(field("id"), at("id"), TOKEN_ID) as TokenId,
    subject: patternOf(field("subject"), at("subject"), MACHINE_ID) as MachineId,
    format,
    claims: claimsOf(optional(fields, "claims"), at("claims")),
    scopes: scopesOf(optional(fields, "scopes"), at("scopes")),
    revoked: booleanOf(field("revoked"), at("revoked")),
    revocationReason: textOrNullOf(field("revocation_reason"), at("revocation_reason")),
    expired: booleanOf(field("expired"), at("expired")),
    expiresAtMs: timeOrNullOf(field("expiration"), at("expiration")),
    lastUsedAtMs: timeOrNullOf(field("last_used_at"), at("last_used_at")),
    createdAtMs: timeOf(field("created_at"), at("created_at")),
    updatedAtMs: timeOf(field("updated_at"), at("updated_at")),
  };
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own field: what hangs on the prototype was not in the body. */
export function optional(fields: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function required(fields: JsonObject, name: string, path: string): Json {
  const value = optional(fields, name);
  if (value === undefined) {
    throw new WireError(path === "" ? name : `${path}.${name}`, "is missing");
  }
  return value;
}

function objectOf(value: Json, path: string): JsonObject {
  if (!isObject(value)) {
    throw new WireError(path, "is not an object");
  }
  return value;
}

function arrayOf(value: Json, path: string): readonly Json[] {
  if (!Array.isArray(value)) {
    throw new WireError(path, "is not an array");
  }
  return value;
}

function patternOf(value: Json, path: string, pattern: RegExp): string {
  if (typeof value !== "string" || !pattern.test(value)) {
    throw new WireError(path, "is not of its form");
  }
  return value;
}

function booleanOf(value: Json, path: string): boolean {
  if (typeof value !== "boolean") {
    throw new WireError(path, "is not a boolean");
  }
  return value;
}

function textOrNullOf(value: Json, path: string): string | undefined {
  if (value !== null && typeof value !== "string") {
    throw new WireError(path, "is neither a string nor null");
  }
  return value === null ? undefined : value.toWellFormed().slice(0, MAX_TEXT_CHARS).toWellFormed();
}

function timeOrNullOf(value: Json, path: string): number | undefined {
  return value === null ? undefined : timeOf(value, path);
}

function timeOf(value: Json, path: string): number {
  if (typeof value !== "number" || !(value >= 0 && value <= MAX_TIME_MS)) {
    throw new WireError(path, "is not a time in milliseconds since the epoch");
  }
  return value;
}

function scopesOf(value: Json | undefined, path: string): readonly MachineId[] {
  if (value === undefined || value === null) {
    return [];
  }
  return arrayOf(value, path).map((item, index) => patternOf(item, `${path}[${index}]`, MACHINE_ID) as MachineId);
}

function claimsOf(value: Json | undefined, path: string): Json | undefined {
  let level: readonly Json[] = value === undefined ? [] : [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_CLAIMS_DEPTH) {
      throw new WireError(path, "is nested too deeply");
    }
    level = level.flatMap((item) => (Array.isArray(item) ? item : isObject(item) ? Object.values(item) : []));
  }
  return value ?? undefined;
}
