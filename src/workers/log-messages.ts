import { formatFactJson, parseFactJson } from "../redis/event-json.ts";
import { type Cursor, formatCursor, parseCursor } from "../token/cursor.ts";
import type { LogEntry, LogRead, RevocationFact } from "../token/ports.ts";

/** What a worker asks of the process that follows the log. `id` tells its answer. */
export type LogRequest =
  | { readonly kind: "append"; readonly id: number; readonly fact: RevocationFact }
  | { readonly kind: "read"; readonly id: number; readonly after: Cursor | undefined }
  | { readonly kind: "await_fleet"; readonly id: number; readonly cursor: Cursor }
  /** Nobody waits for the answer to `id` any more. */
  | { readonly kind: "cancel"; readonly id: number }
  /** The worker will not use cached verdicts any more. */
  | { readonly kind: "leave"; readonly id: number };

export type LogAnswer =
  | { readonly kind: "appended"; readonly id: number; readonly cursor: Cursor }
  | { readonly kind: "read_to_end"; readonly id: number; readonly read: LogRead }
  | { readonly kind: "fleet"; readonly id: number; readonly unconfirmed: readonly string[] }
  | { readonly kind: "left"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };

/** Unasked: an entry as the log pushes it. */
export interface LogPush {
  readonly kind: "entry";
  readonly entry: LogEntry;
}

/** What makes a message none of ours. Names the field and never its value. */
export class MessageError extends Error {
  override readonly name = "MessageError";
}

type Fields = Readonly<Record<string, unknown>>;

export function formatRequest(request: LogRequest): object {
  switch (request.kind) {
    case "append":
      return { ...request, fact: formatFactJson(request.fact) };
    case "read":
      return { ...request, after: request.after === undefined ? null : formatCursor(request.after) };
    case "await_fleet":
      return { ...request, cursor: formatCursor(request.cursor) };
    default:
      return request;
  }
}

/** `undefined` when the message is about something else. @throws MessageError */
export function parseRequest(message: unknown): LogRequest | undefined {
  const fields = fieldsOf(message);
  switch (fields.kind) {
    case "append":
      return { kind: "append", id: idOf(fields), fact: factOf(fields) };
    case "read":
      return { kind: "read", id: idOf(fields), after: fields.after === null ? undefined : cursorOf(fields, "after") };
    case "await_fleet":
      return { kind: "await_fleet", id: idOf(fields), cursor: cursorOf(fields, "cursor") };
    case "cancel":
    case "leave":
      return { kind: fields.kind, id: idOf(fields) };
    default:
      return undefined;
  }
}

export function formatAnswer(answer: LogAnswer | LogPush): object {
  switch (answer.kind) {
    case "appended":
      return { ...answer, cursor: formatCursor(answer.cursor) };
    case "read_to_end": {
      const { entries, head, restarted, epochAgeMs } = answer.read;
      const { kind, id } = answer;
      return { kind, id, head: formatCursor(head), restarted, epochAgeMs, entries: entries.map(formatEntry) };
    }
    case "entry":
      return { kind: "entry", entry: formatEntry(answer.entry) };
    default:
      return answer;
  }
}

/** `undefined` when the message is about something else. @throws MessageError */
export function parseAnswer(message: unknown): LogAnswer | LogPush | undefined {
  const fields = fieldsOf(message);
  switch (fields.kind) {
    case "appended":
      return { kind: "appended", id: idOf(fields), cursor: cursorOf(fields, "cursor") };
    case "read_to_end":
      return { kind: "read_to_end", id: idOf(fields), read: readOf(fields) };
    case "fleet":
      return { kind: "fleet", id: idOf(fields), unconfirmed: listOf(fields, "unconfirmed").map(nameOf) };
    case "left":
      return { kind: "left", id: idOf(fields) };
    case "failed":
      return { kind: "failed", id: idOf(fields), message: textOf(fields, "message") };
    case "entry":
      return { kind: "entry", entry: entryOf(fields.entry) };
    default:
      return undefined;
  }
}

/** @throws MessageError */
export function fieldsOf(message: unknown): Fields {
  if (typeof message !== "object" || message === null) throw new MessageError("it is not an object");
  return message as Fields;
}

/** @throws MessageError */
export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new MessageError(`${name} is not a text`);
  return value;
}

/** @throws MessageError */
export function idOf({ id }: Fields): number {
  if (typeof id !== "number" || !Number.isSafeInteger(id)) throw new MessageError("id is not a whole number");
  return id;
}

function formatEntry({ cursor, fact }: LogEntry): object {
  return { cursor: formatCursor(cursor), fact: formatFactJson(fact) };
}

function readOf(fields: Fields): LogRead {
  if (typeof fields.restarted !== "boolean") throw new MessageError("restarted is not a boolean");
  if (!isAge(fields.epochAgeMs)) throw new MessageError("epochAgeMs is not an age");
  return {
    entries: listOf(fields, "entries").map(entryOf),
    head: cursorOf(fields, "head"),
    restarted: fields.restarted,
    epochAgeMs: fields.epochAgeMs,
  };
}

function isAge(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === "number" && value >= 0);
}

function entryOf(value: unknown): LogEntry {
  const fields = fieldsOf(value);
  return { cursor: cursorOf(fields, "cursor"), fact: factOf(fields) };
}

function factOf(fields: Fields): RevocationFact {
  const text = textOf(fields, "fact");
  try {
    return parseFactJson(text);
  } catch (error) {
    throw new MessageError(`fact: ${error instanceof Error ? error.message : "cannot be read"}`);
  }
}

function cursorOf(fields: Fields, name: string): Cursor {
  const text = textOf(fields, name);
  try {
    return parseCursor(text);
  } catch {
    throw new MessageError(`${name} is not a cursor`);
  }
}

function listOf(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new MessageError(`${name} is not a list`);
  return value;
}

function nameOf(value: unknown): string {
  if (typeof value !== "string") throw new MessageError("a name is not a text");
  return value;
}
