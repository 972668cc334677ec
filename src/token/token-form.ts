import type { TokenFormat, TokenSecret } from "./token.ts";

/** Longer strings are refused unread. The longest token known is a JWT of a few KiB. */
export const MAX_SECRET_LENGTH = 16_384;

const OPAQUE = /^mt_[A-Za-z0-9_-]{1,253}$/;
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Tells how a presented string is encoded, or `undefined` when it cannot be an M2M token and is not worth a question. */
export function formOf(presented: string): TokenFormat | undefined {
  if (presented.length > MAX_SECRET_LENGTH) return undefined;
  if (OPAQUE.test(presented)) return "opaque";
  return JWT.test(presented) ? "jwt" : undefined;
}

/** The presented string as a secret, when it has the form of one. */
export function parseSecret(presented: string): TokenSecret | undefined {
  return formOf(presented) === undefined ? undefined : (presented as TokenSecret);
}
