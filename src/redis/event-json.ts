import { type Cursor, parseCursor } from "../token/cursor.ts";
import type { KeyFact, LogEntry, RevocationFact, SubjectFact, TokenFact } from "../token/ports.ts";
import type { Json, MachineId, TokenId } from "../token/token.ts";

/** What makes a text no event. Names the field and never its value. */
export class EventError extends Error {
  override readonly name = "EventError";
}

/** Of facts about tokens, which every version of the gateway reads, and of those about machines and keys. */
const VERSIONS = { token: 1, other: 2 };
const ID = /^[\w-]{1,128}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const SOURCES: ReadonlySet<string> = new Set<RevocationFact["source"]>(["api", "observed", "reconciled"]);

/**
 * A fact as the stream holds it: one JSON object with
 *
 * - `v` 1 for the fact that one token was revoked, 2 for any other
 * - `kind` of a fact of version 2: `subject` or `key`
 * - `token_id` of the token; in version 1
 * - `subject` machine that minted it, absent when that is not known; for the kind `subject` the machine whose tokens were
 *   revoked
 * - `issued_before_time` of the kind `subject`: tokens minted before it were
 * - `key_id` of the kind `key`: JWTs signed with it were
 * - `reason` absent when none was given
 * - `revoke_time`, `remember_until_time` RFC 3339 in UTC with milliseconds, as all times
 * - `source` `api`, `observed` or `reconciled`
 * - `origin` replica that recorded it
 *
 * What is published on the channel has one more, the first: `cursor`, its place in the log. Readers ignore fields that they
 * do not know, and report and skip versions and kinds that they do not know.
 *
 * @throws EventError when a reader could not understand it
 */
export function formatFactJson(fact: RevocationFact): string {
  const text = JSON.stringify({
    ...aboutOf(fact),
    reason: fact.reason,
    revoke_time: formatTime(fact.revokedAtMs, "revoke_time"),
    remember_until_time: formatTime(fact.rememberUntilMs, "remember_until_time"),
    source: fact.source,
    origin: fact.origin,
  });
  parseFactJson(text);
  return text;
}

function aboutOf(fact: RevocationFact): object {
  if ("tokenId" in fact) return { v: VERSIONS.token, token_id: fact.tokenId, subject: fact.subject };
  if ("keyId" in fact) return { v: VERSIONS.other, kind: "key", key_id: fact.keyId };
  const issuedBefore = formatTime(fact.issuedBeforeMs, "issued_before_time");
  return { v: VERSIONS.other, kind: "subject", subject: fact.subject, issued_before_time: issuedBefore };
}

/** @throws EventError */
export function parseFactJson(text: string): RevocationFact {
  return parseFact(parseObject(text));
}

/** What was published on the channel. @throws EventError */
export function parseEventJson(text: string): LogEntry {
  const fields = parseObject(text);
  return { cursor: parseEventCursor(textOf(fields, "cursor")), fact: parseFact(fields) };
}

function parseFact(fields: ReadonlyMap<string, Json>): RevocationFact {
  const version = fields.get("v");
  if (version !== VERSIONS.token && version !== VERSIONS.other) throw new EventError("v is none that is known");
  const source = textOf(fields, "source");
  if (!isSource(source)) throw new EventError("source is none that is known");
  const base = {
    reason: fields.has("reason") ? textOf(fields, "reason") : undefined,
    revokedAtMs: timeOf(fields, "revoke_time"),
    rememberUntilMs: timeOf(fields, "remember_until_time"),
    source,
    origin: textOf(fields, "origin"),
  };
  return version === VERSIONS.token ? { ...parseTokenId(fields), ...base } : parseOther(fields, base);
}

function parseTokenId(fields: ReadonlyMap<string, Json>): Pick<TokenFact, "tokenId" | "subject"> {
  return {
    tokenId: idOf(fields, "token_id") as TokenId,
    subject: fields.has("subject") ? (idOf(fields, "subject") as MachineId) : undefined,
  };
}

function parseOther(fields: ReadonlyMap<string, Json>, base: Omit<KeyFact, "keyId">): SubjectFact | KeyFact {
  switch (fields.get("kind")) {
    case "subject": {
      const issuedBeforeMs = timeOf(fields, "issued_before_time");
      return { subject: idOf(fields, "subject") as MachineId, issuedBeforeMs, ...base };
    }
    case "key":
      return { keyId: idOf(fields, "key_id"), ...base };
    default:
      throw new EventError("kind is none that is known");
  }
}

function parseObject(text: string): ReadonlyMap<string, Json> {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    // The parser's own message quotes the text.
    throw new EventError("it is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new EventError("it is not an object");
  return new Map(Object.entries(value));
}

function parseEventCursor(text: string): Cursor {
  try {
    return parseCursor(text);
  } catch {
    throw new EventError("cursor is not one");
  }
}

function textOf(fields: ReadonlyMap<string, Json>, name: string): string {
  const value = fields.get(name);
  if (typeof value !== "string") throw new EventError(`${name} is not a string`);
  return value;
}

function idOf(fields: ReadonlyMap<string, Json>, name: string): string {
  const value = textOf(fields, name);
  if (!ID.test(value)) throw new EventError(`${name} is not an identifier`);
  return value;
}

function timeOf(fields: ReadonlyMap<string, Json>, name: string): number {
  const value = textOf(fields, name);
  const timeMs = TIME.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new EventError(`${name} is not a time in UTC with milliseconds`);
  return timeMs;
}

function formatTime(timeMs: number, name: string): string {
  const time = new Date(timeMs);
  if (Number.isNaN(time.getTime())) throw new EventError(`${name} is not a time`);
  return time.toISOString();
}

function isSource(text: string): text is RevocationFact["source"] {
  return SOURCES.has(text);
}
