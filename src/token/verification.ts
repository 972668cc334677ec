import type { Clock } from "./ports.ts";
import type { MachineId, Token, Verdict, VerdictSource } from "./token.ts";
import type { Verification, VerifyRequest } from "./verifier.ts";

/** The machines whose tokens a caller may know of; all when `undefined`. */
export type Subjects = ReadonlySet<MachineId> | undefined;

/** What a caller asks of a verdict that memory gives. */
export type Demands = Pick<VerifyRequest, "maxAgeMs" | "policy">;

export const NO_DEMANDS: Demands = { maxAgeMs: Number.POSITIVE_INFINITY, policy: undefined };

export function verificationOf(
  verdict: Verdict,
  token: Token | undefined,
  source: VerdictSource,
  observedAtMs: number | undefined,
): Verification {
  return { verdict, token, source, observedAtMs, encoded: undefined };
}

/** What a caller may know of a verdict: of tokens of other machines nothing but NOT_GRANTED. */
export function confined(verification: Verification, subjects: Subjects): Verification {
  const { token, source, observedAtMs } = verification;
  if (subjects === undefined || token === undefined || subjects.has(token.subject)) return verification;
  return verificationOf("not_granted", undefined, source, observedAtMs);
}

export function hasExpired(token: Token, clock: Clock): boolean {
  return token.expired || (token.expiresAtMs !== undefined && token.expiresAtMs <= clock.wallMs());
}
