import type { MachineId, Token, Verdict, VerdictSource } from "./token.ts";
import type { Verification } from "./verifier.ts";

/** The machines whose tokens a caller may know of; all when `undefined`. */
export type Subjects = ReadonlySet<MachineId> | undefined;

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
