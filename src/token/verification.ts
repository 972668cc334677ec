import type { Cursor } from "./cursor.ts";
import type { JwtCheck } from "./jwt.ts";
import type { Policy } from "./policy.ts";
import type { MachineId, Token, Verdict, VerdictSource } from "./token.ts";

/** The machines whose tokens a caller may know of; all when `undefined`. */
export type Subjects = ReadonlySet<MachineId> | undefined;

export interface VerifyRequest {
  /** What was presented as a token. Anything at all. */
  readonly presented: string;
  /** The oldest observation that may decide, in milliseconds; Infinity leaves it to the cache's TTL. */
  readonly maxAgeMs: number;
  /** Decide only after the log has been applied up to here. */
  readonly minCursor: Cursor | undefined;
  readonly policy: Policy | undefined;
  readonly subjects?: Subjects;
  readonly signal: AbortSignal;
}

export interface Verification {
  readonly verdict: Verdict;
  /** What is known of the token, when it is. */
  readonly token: Token | undefined;
  readonly source: VerdictSource;
  /** When the upstream was asked for what decided (wall clock, milliseconds); `undefined` when it was not. */
  readonly observedAtMs: number | undefined;
  /** Of a JWT that was checked here and is not good: why. */
  readonly failedCheck: JwtCheck | undefined;
  /** A place for whoever encodes it, to keep the outcome: many calls share what memory answers. Nobody here reads it. */
  encoded?: string | undefined;
}

/** A VALID from memory as its answer was encoded before: `bytes[from, to)`. Good for as long as nothing else is asked. */
export interface KeptAnswer {
  readonly verdict: "valid";
  readonly source: "memory";
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** What a caller asks of a verdict that memory gives. */
export type Demands = Pick<VerifyRequest, "maxAgeMs" | "policy">;

export const NO_DEMANDS: Demands = { maxAgeMs: Number.POSITIVE_INFINITY, policy: undefined };

/** All of one shape: what memory answers is read on every hit. */
export function verificationOf(
  verdict: Verdict,
  token: Token | undefined,
  source: VerdictSource,
  observedAtMs: number | undefined,
  failedCheck?: JwtCheck,
): Verification {
  return { verdict, token, source, observedAtMs, failedCheck, encoded: undefined };
}

/** What a caller may know of a verdict: of tokens of other machines nothing but NOT_GRANTED. */
export function confined(verification: Verification, subjects: Subjects): Verification {
  const { token, source, observedAtMs } = verification;
  if (subjects === undefined || token === undefined || subjects.has(token.subject)) return verification;
  return verificationOf("not_granted", undefined, source, observedAtMs);
}

/** JWTs that are checked here live on for the skew that is allowed for. */
export function hasExpired({ expired, expiresAtMs, format }: Token, wallMs: number, jwtSkewMs = 0): boolean {
  return expired || (expiresAtMs !== undefined && expiresAtMs + (format === "jwt" ? jwtSkewMs : 0) <= wallMs);
}
