import type { Jwk } from "../token/signing-keys.ts";
import type { Json } from "../token/token.ts";
import { isObject, optional, WireError } from "./wire.ts";

const KEY_ID = /^[\w-]{1,128}$/;
const BASE64URL = /^[A-Za-z0-9_-]{1,1400}$/;
const MAX_KEYS = 100;

/**
 * A JSON Web Key Set: its RSA keys for RS256 signatures. Keys for anything else, or without an id, are none of ours and are
 * left out. That one id names two keys makes the whole set unreadable.
 *
 * @throws WireError
 */
export function parseKeySet(body: Json): readonly Jwk[] {
  const keys = isObject(body) ? optional(body, "keys") : undefined;
  if (!Array.isArray(keys)) throw new WireError("keys", "is not an array");
  if (keys.length > MAX_KEYS) throw new WireError("keys", `holds more than ${MAX_KEYS} keys`);
  const found = (keys as readonly Json[]).map(parseKey).filter((key) => key !== undefined);
  if (new Set(found.map(({ keyId }) => keyId)).size < found.length) throw new WireError("keys", "names an id twice");
  return found;
}

function parseKey(value: Json): Jwk | undefined {
  if (!isObject(value)) return undefined;
  const field = (name: string, pattern: RegExp) => {
    const text = optional(value, name);
    return typeof text === "string" && pattern.test(text) ? text : undefined;
  };
  const isOurs =
    optional(value, "kty") === "RSA" && isAbsentOr(value, "use", "sig") && isAbsentOr(value, "alg", "RS256");
  const [keyId, modulus, exponent] = [field("kid", KEY_ID), field("n", BASE64URL), field("e", BASE64URL)];
  if (!isOurs || keyId === undefined || modulus === undefined || exponent === undefined) return undefined;
  return { keyId, modulus, exponent };
}

function isAbsentOr(fields: { readonly [key: string]: Json }, name: string, value: string): boolean {
  return !Object.hasOwn(fields, name) || fields[name] === value;
}
