import type { MachineId, Token, TokenId, TokenSecret } from "../../src/token/token.ts";

export const BILLING = "mch_billing00000000000000000000" as MachineId;
export const REPORTS = "mch_reports00000000000000000000" as MachineId;

export function tokenId(n: number): TokenId {
  return `mt_${n.toString(16).padStart(32, "0")}` as TokenId;
}

export function secretOf(n: number): TokenSecret {
  return `mt_secret_${n}` as TokenSecret;
}

export function token(n: number, overrides: Partial<Token> = {}): Token {
  return {
    id: tokenId(n),
    subject: BILLING,
    format: "opaque",
    claims: undefined,
    scopes: [BILLING],
    revoked: false,
    revocationReason: undefined,
    expired: false,
    expiresAtMs: undefined,
    lastUsedAtMs: undefined,
    createdAtMs: 1_700_000_000_000,
    updatedAtMs: 1_700_000_000_000,
    ...overrides,
  };
}
