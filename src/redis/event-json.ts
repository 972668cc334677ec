import { type Cursor, parseCursor } from "../token/cursor.ts";
import type { LogEntry, RevocationFact } from "../token/ports.ts";
import type { Json, MachineId, TokenId } from "../token/token.ts";

/** What makes a text no event. Names the field and never its value. */
export class EventError extends Error {
  override readonly name = "EventError";
}

const VERSION = 1;
const ID = /^[\w-]{1,128}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const SOURCES: ReadonlySet<string> = new Set<RevocationFact["source"]>(["api", "observed", "reconciled"]);

/**
 * A fact as the stream holds it: one JSON object with
 *
 * - `v` 1
 * - `token_id` of the token
 * - `subject` machine that minted it; absent when it is not known
 * - `reason` absent when none was given
 * - `revoke_time`, `remember_until_time` RFC 3339 in UTC with milliseconds
 * - `source` `api`, `observed` or `reconciled`
 * - `origin` replica that recorded it
 *
 * What is published on the channel has one more, the first: `cursor`, its place in the log. Readers ignore what they do not
 * know.
 *
 * @throws EventError when a reader could not understand it
 */
export function formatFactJson(fact: RevocationFact): string {
  const text = JSON.stringify({
    v: VERSION,
    token_id: fact.tokenId,
    subject: fact.subject,
    reason: fact.reason,
    revoke_time: formatTime(fact.revokedAtMs, "revoke_time"),
    remember_until_time: formatTime(fact.rememberUntilMs, "remember_until_time"),
    source: fact.source,
    origin: fact.origin,
  });
  parseFactJson(text);
  return text;
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
  if (fields.get("v") !== VERSION) throw new EventError(`v is not ${VERSION}`);
  const source = textOf(fields, "source");
  if (!isSource(source)) throw new EventError("source is none that is known");
  return {
    tokenId: idOf(fields, "token_id") as TokenId,
    subject: fields.has("subject") ? (idOf(fields, "subject") as MachineId) : undefined,
    reason: fields.has("reason") ? textOf(fields, "reason") : undefined,
    revokedAtMs: timeOf(fields, "revoke_time"),
    rememberUntilMs: timeOf(fields, "remember_until_time"),
    source,
    origin: textOf(fields, "origin"),
  };
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
