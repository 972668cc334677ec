import type { Json, MachineId, Token, TokenFormat, TokenId } from "../token/token.ts";

/** A token as it was observed, and for how long the observation may decide. */
export interface StoredVerdict {
  readonly token: Token;
  /** From the start of the request to the end of the value's life in Redis, whole milliseconds. */
  readonly lifeMs: number;
}

const VERSION = 1;
const ID = /^[\w-]{1,128}$/;
const FORMATS: readonly TokenFormat[] = ["opaque", "jwt"];

/**
 * One JSON array: version, life, id, subject, format, claims in an array of at most one, scopes, expiration, last use,
 * creation, update. Neither the secret nor anything made from it. Only good tokens are stored, so that needs no saying.
 */
export function encodeVerdict({ token, lifeMs }: StoredVerdict): string {
  return JSON.stringify([
    VERSION,
    lifeMs,
    token.id,
    token.subject,
    token.format,
    token.claims === undefined ? [] : [token.claims],
    token.scopes,
    token.expiresAtMs ?? null,
    token.lastUsedAtMs ?? null,
    token.createdAtMs,
    token.updatedAtMs,
  ]);
}

/** `undefined` when the text is anything else than what `encodeVerdict` makes. */
export function decodeVerdict(text: string): StoredVerdict | undefined {
  const fields = parseArray(text);
  if (fields === undefined || fields.length !== 11 || fields[0] !== VERSION) return undefined;
  const [, lifeMs, id, subject, format, claims, scopes, expiresAtMs, lastUsedAtMs, createdAtMs, updatedAtMs] = fields;
  if (!isTime(lifeMs) || !isId(id) || !isId(subject) || !isFormat(format)) return undefined;
  if (!Array.isArray(claims) || claims.length > 1 || !Array.isArray(scopes) || !scopes.every(isId)) return undefined;
  if (!isTimeOrNull(expiresAtMs) || !isTimeOrNull(lastUsedAtMs)) return undefined;
  if (!isTime(createdAtMs) || !isTime(updatedAtMs)) return undefined;
  const token: Token = {
    id: id as TokenId,
    subject: subject as MachineId,
    format,
    claims: claims[0],
    scopes: scopes as MachineId[],
    revoked: false,
    revocationReason: undefined,
    expired: false,
    expiresAtMs: expiresAtMs ?? undefined,
    lastUsedAtMs: lastUsedAtMs ?? undefined,
    createdAtMs,
    updatedAtMs,
  };
  return { token, lifeMs };
}

function parseArray(text: string): readonly Json[] | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isId(value: Json | undefined): value is string {
  return typeof value === "string" && ID.test(value);
}

function isFormat(value: Json | undefined): value is TokenFormat {
  return FORMATS.some((format) => format === value);
}

function isTime(value: Json | undefined): value is number {
  return typeof value === "number" && value >= 0 && Number.isFinite(value);
}

function isTimeOrNull(value: Json | undefined): value is number | null {
  return value === null || isTime(value);
}
