import type { HeaderField } from "./header-field.ts";
import type { RequestHead } from "./request-head.ts";

const PSEUDO_FIELDS = new Set([":method", ":path", ":scheme", ":authority"]);
/** Fields of HTTP/1.1 connections, which HTTP/2 does not have (RFC 9113, 8.2.2). */
const CONNECTION_FIELDS = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);
/** RFC 9110, 5.6.2, without the letters in upper case (RFC 9113, 8.2.1). */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** Blanks at either end and NUL, CR and LF anywhere make a request malformed (RFC 9113, 8.2.1). */
const BAD_VALUE = /^[ \t]|[ \t]$|[\0\r\n]/;

/** Checks a decoded request (RFC 9113, 8.2 and 8.3). `undefined` when it is malformed. */
export function parseRequestHead(decoded: readonly HeaderField[]): RequestHead | undefined {
  const pseudo = new Map<string, string>();
  let count = 0;
  for (const { name, value } of decoded) {
    if (!name.startsWith(":")) break;
    if (!PSEUDO_FIELDS.has(name) || pseudo.has(name) || BAD_VALUE.test(value)) return undefined;
    pseudo.set(name, value);
    count += 1;
  }
  const fields = decoded.slice(count);
  const method = pseudo.get(":method") ?? "";
  const path = pseudo.get(":path") ?? "";
  const scheme = pseudo.get(":scheme") ?? "";
  const authority = pseudo.get(":authority") ?? "";
  if (method === "" || !fields.every(isAllowed)) return undefined;
  // A tunnel has an authority and nothing else; it is a request like any other here, to a path that nothing serves.
  const isTunnel = method === "CONNECT" && !pseudo.has(":path") && !pseudo.has(":scheme");
  const isPath = path.startsWith("/") || (path === "*" && method === "OPTIONS");
  if (!isTunnel && (!isPath || scheme === "")) return undefined;
  return { method, path, scheme, authority, fields };
}

/** Trailers have ordinary fields only (RFC 9113, 8.1). */
export function areTrailers(decoded: readonly HeaderField[]): boolean {
  return decoded.every(isAllowed);
}

function isAllowed({ name, value }: HeaderField): boolean {
  if (!FIELD_NAME.test(name) || BAD_VALUE.test(value) || CONNECTION_FIELDS.has(name)) return false;
  return name !== "te" || value.toLowerCase() === "trailers";
}

/** The length that `content-length` states: `undefined` when there is none, -1 when it is none. */
export function contentLengthOf(head: RequestHead): number | undefined {
  let length: number | undefined;
  for (const { name, value } of head.fields) {
    if (name !== "content-length") continue;
    const stated = /^\d{1,15}$/.test(value) ? Number(value) : -1;
    length = length === undefined || length === stated ? stated : -1;
  }
  return length;
}
