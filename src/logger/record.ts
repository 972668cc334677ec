import { REDACTED, scrub } from "./scrub.ts";

/** A line of the log as data, free of credentials. */
export type LogRecord = Readonly<Record<string, unknown>>;

// Deeper than anything worth logging, and far from where recursion ends.
const MAX_DEPTH = 32;

/** Fields whose texts are credentials whatever they look like. */
const SECRET_FIELD =
  /^(?:authorization|proxy-authorization|(?:set-)?cookie|tokens?|secrets?|passwords?|credentials?|(?:machine)?[_-]?secret[_-]?key|(?:x-)?api[_-]?key)$/i;

/**
 * Reads a line of JSON and scrubs every name and text in it. Texts are scrubbed as they were before JSON escaped them, so
 * that no escape can hide where a credential begins or ends.
 */
export function readRecord(line: string): LogRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { msg: scrub(line) };
  }
  const scrubbed = scrubValue(value, "", 0);
  return isRecord(scrubbed) ? scrubbed : { msg: scrubbed };
}

export function isRecord(value: unknown): value is LogRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function scrubValue(value: unknown, name: string, depth: number): unknown {
  if (typeof value === "string") return SECRET_FIELD.test(name) ? REDACTED : scrub(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "[too deep]";
  if (Array.isArray(value)) return value.map((item) => scrubValue(item, name, depth + 1));
  if (isBytes(value)) return REDACTED;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [scrub(key), scrubValue(member, key, depth + 1)]),
  );
}

// A Buffer and a Uint8Array are logged as numbers, which no pattern knows: credentials, for all that a log can tell.
function isBytes(value: object): boolean {
  if ("type" in value && value.type === "Buffer") return true;
  return "0" in value && Object.values(value).every((item) => typeof item === "number");
}
