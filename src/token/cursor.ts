import { GatewayError } from "./errors.ts";

/**
 * A place in a revocation log: the log's epoch and an entry's id. The id is two numbers, as in a Redis stream, ordered by
 * the first and then the second. `0-0` is before every entry.
 */
export interface Cursor {
  readonly epoch: string;
  readonly major: number;
  readonly minor: number;
}

const FORM = /^([0-9a-z]{1,32})\.(\d{1,15})-(\d{1,15})$/;

export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}.${cursor.major}-${cursor.minor}`;
}

/** @throws GatewayError CURSOR_MALFORMED */
export function parseCursor(text: string): Cursor {
  const match = FORM.exec(text);
  if (match === null) {
    throw new GatewayError("CURSOR_MALFORMED", "not a cursor: give one exactly as the gateway sent it");
  }
  return { epoch: match[1] as string, major: Number(match[2]), minor: Number(match[3]) };
}

export function startOf(epoch: string): Cursor {
  return { epoch, major: 0, minor: 0 };
}

/** Negative, zero or positive as `a` is before, at or after `b`. Both must be of one epoch. */
export function compareCursors(a: Cursor, b: Cursor): number {
  return a.major - b.major || a.minor - b.minor;
}
