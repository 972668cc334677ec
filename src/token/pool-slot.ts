import { hash } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";
import type { Failure } from "./pool-failure.ts";
import type { PooledToken } from "./pooled-token.ts";
import type { Json, TokenFormat } from "./token.ts";
import type { TokenKind } from "./token-supply.ts";
import { jsonBytes } from "./verdict-cache.ts";

/** What tokens may be handed to whom in place of each other. */
export interface PoolTarget {
  /** The caller that the tokens are for: nobody else is handed them. `undefined` where callers are not told apart. */
  readonly identity: string | undefined;
  readonly format: TokenFormat;
  /** Seconds, more than zero; `undefined` leaves it to the machine's default. */
  readonly ttlSeconds: number | undefined;
  readonly claims: Json | undefined;
}

/** The place of one token in the pool. */
export interface PoolSlot {
  readonly key: string;
  readonly kind: TokenKind;
  held: PooledToken | undefined;
  /** How long new tokens of this kind live; `undefined` until one was minted. */
  lifetimeMs: number | undefined;
  /** The one creation under way. Never rejects: what came of it is in the slot. */
  creation: { readonly settled: Promise<void> } | undefined;
  failure: Failure | undefined;
  /** When a caller last wanted the token, monotonic. */
  wantedAtMs: number;
}

export function openSlot({ identity, format, ttlSeconds, claims }: PoolTarget): PoolSlot {
  const claimsText = claims === undefined ? undefined : canonicalJson(claims);
  return {
    // JSON of a list of known length: no two targets have the same.
    key: hash("sha256", JSON.stringify([identity, format, ttlSeconds, claimsText]), "binary"),
    kind: { format, ttlSeconds, claimsText, shared: identity === undefined },
    held: undefined,
    lifetimeMs: undefined,
    creation: undefined,
    failure: undefined,
    wantedAtMs: Number.NEGATIVE_INFINITY,
  };
}

/** Estimated size of a slot without claims: a token, its secret, the key and the containers' overhead. */
const SLOT_BYTES = 1_500;

export function slotBytes({ kind, held }: PoolSlot): number {
  const claims = held?.token.claims;
  return SLOT_BYTES + 2 * (kind.claimsText?.length ?? 0) + (claims === undefined ? 0 : jsonBytes(claims));
}
