import { InvalidArgumentError } from "commander";

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const MAX_DURATION_MS = 315_360_000_000;
const TOKEN_ID = /^mt_[0-9A-Za-z]{32}$/;
const MACHINE_ID = /^mch_\w{27}$/;

/** `1h`, `90s`, `1h30m`, `500ms` or `0`, in milliseconds; at most ten years. */
export function parseDurationMs(text: string): number {
  if (text === "0") {
    return 0;
  }
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    throw new InvalidArgumentError("Give a number with a unit (ms, s, m, h, d), for example 90s or 1h30m.");
  }
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  if (totalMs > MAX_DURATION_MS) {
    throw new InvalidArgumentError("The most is 3650d.");
  }
  return totalMs;
}

export function parsePositiveDurationMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms < 1) {
    throw new InvalidArgumentError("It must be at least 1ms.");
  }
  return ms;
}

export function parseTokenId(text: string): string {
  if (!isTokenId(text)) {
    throw new InvalidArgumentError("A token id is mt_ and 32 letters or digits.");
  }
  return text;
}

export function isTokenId(text: string): boolean {
  return TOKEN_ID.test(text);
}

export function parseMachineId(text: string): string {
  if (!MACHINE_ID.test(text)) {
    throw new InvalidArgumentError("A machine id is mch_ and 27 letters, digits or underscores.");
  }
  return text;
}

export function parseKeyId(text: string): string {
  if (!/^[\w-]{1,128}$/.test(text)) {
    throw new InvalidArgumentError("A key id is 1 to 128 letters, digits, underscores and hyphens.");
  }
  return text;
}

/** RFC 3339, with a zone: a time without one would be another instant on another machine. */
export function parseInstant(text: string): Date {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
  const instant = new Date(form.test(text) ? text : Number.NaN);
  if (Number.isNaN(instant.getTime())) {
    throw new InvalidArgumentError("Give a time with its zone, for example 2026-05-12T08:00:00Z.");
  }
  return instant;
}

/** For an option that may be given more than once. */
export function collectMachineId(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), parseMachineId(text)];
}

export function collectText(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}

export function parsePageSize(text: string): number {
  const size = Number(text);
  if (!/^\d+$/.test(text) || size < 1 || size > 100) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 100.");
  }
  return size;
}

/** The base URL of a gateway; `host:port` alone means cleartext. */
/** An http or https URL, or `unix:` and the absolute path of a socket. */
export function parseGatewayUrl(text: string): string {
  if (/^unix:\/[^\0\n]*[^\0\n/]$/.test(text)) return text;
  const withScheme = /^unix:|^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new InvalidArgumentError(
      "Give a URL such as http://127.0.0.1:50051, or unix: and the absolute path of a socket.",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new InvalidArgumentError("It must not hold a user name or password.");
  }
  return url.href.replace(/\/$/, "");
}
