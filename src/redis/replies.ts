import { type Cursor, parseCursor } from "../token/cursor.ts";
import { RedisError } from "./redis-error.ts";

const EPOCH = /^[0-9a-z]{1,32}$/;
const ENTRY_ID = /^(\d{1,15})-(\d{1,15})$/;

export interface Page {
  readonly epoch: string;
  /** Whether the page begins at the beginning of the log instead of where it was asked to. */
  readonly restarted: boolean;
  readonly head: Cursor;
  readonly entries: readonly RawEntry[];
  readonly epochAgeMs: number;
}

export interface RawEntry {
  readonly cursor: Cursor;
  /** `undefined` when the entry is none of ours. */
  readonly json: string | undefined;
}

export interface FleetState {
  /** Whether leases of the time before the epoch may be missing. */
  readonly incomplete: boolean;
  /** Names of readers. */
  readonly confirmed: readonly string[];
  readonly outstanding: readonly string[];
  readonly suspended: readonly string[];
}

export interface Lease {
  readonly reader: string;
  readonly applied: Cursor | undefined;
  readonly ageMs: number;
}

/** @throws RedisError */
export function parseAppended(reply: unknown): { cursor: Cursor; published: boolean } {
  const [epoch, id, published] = listOf(reply);
  return { cursor: cursorOf(epochOf(epoch), id), published: published === 1 };
}

/** @throws RedisError */
export function parsePage(reply: unknown): Page {
  const [epochText, restarted, head, entries, epochAgeMs] = listOf(reply);
  if (typeof epochAgeMs !== "number") throw unexpected();
  const epoch = epochOf(epochText);
  return {
    epoch,
    restarted: restarted === 1,
    head: cursorOf(epoch, head),
    entries: listOf(entries).map((entry) => {
      const [id, fields] = listOf(entry);
      const [name, value, ...others] = Array.isArray(fields) ? (fields as unknown[]) : [];
      const json = name === "e" && typeof value === "string" && others.length === 0 ? value : undefined;
      return { cursor: cursorOf(epoch, id), json };
    }),
    epochAgeMs,
  };
}

/** @throws RedisError */
export function parseFleet(reply: unknown): FleetState {
  const [incomplete, confirmed, outstanding, suspended] = listOf(reply);
  return {
    incomplete: incomplete === 1,
    confirmed: listOf(confirmed).map(textOf),
    outstanding: listOf(outstanding).map(textOf),
    suspended: listOf(suspended).map(textOf),
  };
}

/** @throws RedisError, GatewayError CURSOR_MALFORMED */
export function parseLeases(reply: unknown): readonly Lease[] {
  return listOf(reply).map((lease) => {
    const [reader, applied, ageMs] = listOf(lease);
    if (typeof ageMs !== "number") throw unexpected();
    return { reader: textOf(reader), applied: applied === "-" ? undefined : parseCursor(textOf(applied)), ageMs };
  });
}

/** A value and the milliseconds that it has left, or nothing. @throws RedisError */
export function parseVerdictReply(reply: unknown): { value: string; leftMs: number } | undefined {
  if (reply === null) return undefined;
  const [value, leftMs] = listOf(reply);
  if (typeof leftMs !== "number") throw unexpected();
  return { value: textOf(value), leftMs };
}

/** Milliseconds since the epoch by the server's clock, rounded down. @throws RedisError */
export function parseServerTime(reply: unknown): number {
  const [seconds, micros] = listOf(reply).map(Number);
  const timeMs = Math.floor((seconds ?? Number.NaN) * 1_000 + (micros ?? Number.NaN) / 1_000);
  if (!Number.isSafeInteger(timeMs)) throw unexpected();
  return timeMs;
}

function cursorOf(epoch: string, id: unknown): Cursor {
  const match = typeof id === "string" ? ENTRY_ID.exec(id) : null;
  if (match === null) throw unexpected();
  return { epoch, major: Number(match[1]), minor: Number(match[2]) };
}

function epochOf(value: unknown): string {
  const epoch = textOf(value);
  if (!EPOCH.test(epoch)) throw unexpected();
  return epoch;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected();
  return value;
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw unexpected();
  return value;
}

function unexpected(): RedisError {
  return new RedisError("Redis answered something that is not an answer to the question");
}
