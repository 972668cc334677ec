/** The secret a bearer presents. Held no longer than it takes to digest it or to send it upstream. */
export type TokenSecret = string & { readonly __brand: "TokenSecret" };

/** Identifier of a token, `mt_` and 32 letters or digits; for a JWT its `jti`. Not a secret. */
export type TokenId = string & { readonly __brand: "TokenId" };

/** Identifier of a machine, `mch_` and 27 word characters. */
export type MachineId = string & { readonly __brand: "MachineId" };

/** Keyed digest of (credential scope, secret): the key of verdicts and of flights. Says nothing about the secret. */
export type TokenDigest = string & { readonly __brand: "TokenDigest" };

/** Any JSON value, as custom claims may be. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type TokenFormat = "opaque" | "jwt";

/** What the upstream says of a token. Times are wall-clock milliseconds since the epoch. */
export interface Token {
  readonly id: TokenId;
  /** The machine that minted it. */
  readonly subject: MachineId;
  readonly format: TokenFormat;
  /** `undefined` when the token carries none. */
  readonly claims: Json | undefined;
  /** The machines it grants access to, frozen when it was minted. */
  readonly scopes: readonly MachineId[];
  readonly revoked: boolean;
  readonly revocationReason: string | undefined;
  readonly expired: boolean;
  /** `undefined` when the token never expires. */
  readonly expiresAtMs: number | undefined;
  readonly lastUsedAtMs: number | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** The id of the key that a JWT is signed with, where it names one. */
  readonly keyId?: string | undefined;
}

export interface CreatedToken {
  readonly token: Token;
  readonly secret: TokenSecret;
}

export type Verdict = "valid" | "revoked" | "expired" | "not_granted" | "invalid";

/**
 * What decided a verdict: an observation cached here or shared, the upstream, the token's form or its signature checked
 * here, or a revocation fact.
 */
export type VerdictSource = "memory" | "redis" | "upstream" | "local" | "fact";
