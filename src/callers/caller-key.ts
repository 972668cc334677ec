import { hash, randomBytes } from "node:crypto";

/** 256 random bits in base64url: what makes it safe to keep no more than an unsalted SHA-256 of a key. */
const KEY = /^mgk_[A-Za-z0-9_-]{43}$/;
const BEARER = /^bearer +(\S+)$/i;

/** A new key for a caller. */
export function createCallerKey(): string {
  return `mgk_${randomBytes(32).toString("base64url")}`;
}

/** What stands for a key in the callers' file: `sha256:` and 64 hexadecimal digits. */
export function fingerprintOf(key: string): string {
  return `sha256:${hash("sha256", key, "hex")}`;
}

/**
 * The fingerprint of the key in an `authorization` header; `undefined` when the header holds none that `createCallerKey`
 * can have made. Keys that people think up are refused that way, whatever the file says.
 */
export function fingerprintIn(authorization: string): string | undefined {
  const key = BEARER.exec(authorization)?.[1];
  return key !== undefined && KEY.test(key) ? fingerprintOf(key) : undefined;
}
