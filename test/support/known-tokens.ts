import { KnownTokens } from "../../src/token/known-tokens.ts";
import type { KnownToken } from "../../src/token/observation.ts";
import type { TokenDigest } from "../../src/token/token.ts";
import { token } from "./tokens.ts";

/** What each is said to take. */
export const BYTES = 10;

/** Of four homes in the index, so that most digests are displaced by others; the rest of the digest tells them apart. */
export function digest(n: number): TokenDigest {
  return (String.fromCharCode(n % 4, 0, 0, 0) + String.fromCharCode(n, n >> 8).padEnd(28, "\xff")) as TokenDigest;
}

export function known(n: number): KnownToken {
  // As the cache makes them, and as they are unpacked.
  const beside = { isRenewing: false, valid: undefined, clearIn: undefined, signed: undefined };
  return { token: { ...token(n), keyId: undefined }, observedAtMonotonicMs: n, observedAtMs: n, uses: 0, ...beside };
}

export function createKnown(maxEntries: number, maxBytes = Number.POSITIVE_INFINITY, maxObjects?: number) {
  const counts = { evicted: 0 };
  const onEvict = () => {
    counts.evicted += 1;
  };
  return { tokens: new KnownTokens(maxEntries, maxBytes, onEvict, maxObjects), counts };
}

export function filled(count: number, maxObjects?: number) {
  const { tokens, counts } = createKnown(count, Number.POSITIVE_INFINITY, maxObjects);
  for (let n = 0; n < count; n += 1) tokens.put(digest(n), known(n), BYTES);
  return { tokens, counts };
}
