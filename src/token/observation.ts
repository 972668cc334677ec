import type { Token } from "./token.ts";
import type { Verification } from "./verifier.ts";

/** What the upstream said when asked about a token, and when it was asked. */
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
}

export function isKnown(observation: Observation): observation is KnownToken {
  return observation.token !== undefined;
}
