import { repeatsNames } from "./json-names.ts";
import type { Json } from "./token.ts";

export type JsonObject = { readonly [name: string]: Json };

/** A JWT in its compact form, taken apart. Nothing in it has been believed yet. */
export interface JwtText {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  /** What the signature is over. */
  readonly signed: string;
  readonly signature: Buffer;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Deeper claims would overflow the stack of whoever walks them by recursion. */
const MAX_DEPTH = 30;

/**
 * Takes apart what has exactly three parts, each in the one spelling that base64url has for its bytes, the first two of them
 * JSON objects that name nothing twice. `undefined` for anything else: a text that two readers could read differently is
 * read by none.
 */
export function parseJwtText(presented: string): JwtText | undefined {
  const parts = presented.split(".");
  const [head, body, tail] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || tail === undefined) return undefined;
  const header = objectIn(head);
  const payload = objectIn(body);
  const signature = bytesOf(tail);
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  return { header, payload, signed: presented.slice(0, head.length + 1 + body.length), signature };
}

/** An own member: what hangs on the prototype was not in the text. */
export function memberOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Node's decoder forgives padding, blanks, foreign letters and stray bits; only what it writes itself is taken. */
function bytesOf(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, "base64url");
  return bytes.length > 0 && bytes.toString("base64url") === part ? bytes : undefined;
}

function objectIn(part: string): JsonObject | undefined {
  const bytes = bytesOf(part);
  if (bytes === undefined) return undefined;
  try {
    const text = UTF8.decode(bytes);
    const value = JSON.parse(text) as Json;
    return isObject(value) && !isTooDeep(value) && !repeatsNames(text) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isTooDeep(json: Json): boolean {
  let level: readonly Json[] = [json];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) return true;
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
  }
  return false;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
