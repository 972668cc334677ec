import type { KeyObject } from "node:crypto";
import type { Revocations } from "./revocations.ts";
import type { Token } from "./token.ts";
import type { Verification } from "./verification.ts";

/** What the upstream said when asked about a token, and when it was asked; or what a JWT says whose signature is good. */
export interface Observation {
  /** `undefined` when the upstream refused it without saying why. */
  readonly token: Token | undefined;
  /** Start of the request, monotonic milliseconds: ages count from here. */
  readonly observedAtMonotonicMs: number;
  /** Start of the request, wall-clock milliseconds: for people. */
  readonly observedAtMs: number;
  /** How often it has decided from memory. */
  uses: number;
}

export interface KnownToken extends Observation {
  readonly token: Token;
  /** What it answers from memory when it may decide: made by its first use and shared by all. */
  valid?: Verification | undefined;
  /** The edition of the revocation facts that held none about the token. */
  clearIn?: object | undefined;
  /** Whether it is being asked about again, on nobody's behalf: once is enough. */
  isRenewing?: boolean | undefined;
  /** Of a JWT whose signature was found good here: the upstream did not say anything then, and age means nothing. */
  readonly signed?: SignedToken | undefined;
}

/** What is left to check of a JWT with a good signature. Times are wall-clock milliseconds, with skew allowed for. */
export interface SignedToken {
  readonly keyId: string | undefined;
  readonly key: KeyObject;
  readonly notBeforeMs: number;
  readonly issuedAtMs: number;
  readonly validUntilMs: number;
  /** Whether it grants access to the verifying machine. */
  readonly granted: boolean;
}

export function isKnown(observation: Observation): observation is KnownToken {
  return observation.token !== undefined;
}

/** Asks the facts; while they are as they were when they knew nothing of the token, that is still the answer. */
export function isRevoked(known: KnownToken, revocations: Revocations): boolean {
  if (known.clearIn === revocations.edition) return false;
  if (revocations.findFor(known.token) !== undefined) return true;
  known.clearIn = revocations.edition;
  return false;
}
