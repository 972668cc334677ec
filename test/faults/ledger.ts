import type { MintedToken } from "./emulator-process.ts";

/** One answer to a verification. All times are this process's monotonic clock, in milliseconds. */
export interface Answer {
  readonly replica: string;
  readonly incarnation: number;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** The verdict's name, or `error`. */
  readonly verdict: string;
  /** What decided, or the code of the error. */
  readonly source: string;
}

/** A revocation that was answered with success. */
export interface Acknowledgement {
  readonly replica: string;
  readonly incarnation: number;
  readonly atMs: number;
  /** Whether it was answered PROPAGATION_FLEET. */
  readonly fleet: boolean;
}

export interface TrackedToken extends MintedToken {
  readonly mintedAtMs: number;
  readonly answers: Answer[];
  /** Attempts to revoke it that failed: they promise nothing. */
  readonly failedRevocations: { readonly replica: string; readonly atMs: number; readonly code: string }[];
  acknowledged: Acknowledgement | undefined;
}

export interface Violation {
  readonly rule: "after bound" | "after fleet" | "after own acknowledgement";
  readonly token: TrackedToken;
  readonly answer: Answer;
}

export interface StaleAnswer {
  readonly stalenessMs: number;
  readonly beganAtMs: number;
}

/**
 * Judges every answer about a token.
 *
 * The promise speaks of when the gateway acknowledged and when it decided; only the client's clock is at hand. A client
 * hears of an acknowledgement after it was given, and begins a call before the gateway decides it. So a call that begins
 * later than B after the client heard the acknowledgement is decided later than B after it was given, whatever the network
 * adds: if it is answered VALID, the promise is broken, and no slack has to be allowed for.
 *
 * - `after bound`: VALID, begun more than B after the acknowledgement.
 * - `after fleet`: VALID, begun after an acknowledgement with PROPAGATION_FLEET.
 * - `after own acknowledgement`: VALID from the process that had acknowledged, begun after that.
 */
export class Ledger {
  readonly #boundMs: number;
  readonly violations: Violation[] = [];
  /** VALID answers begun after the acknowledgement. */
  readonly stale: StaleAnswer[] = [];
  readonly acknowledgedIds = new Set<string>();

  constructor(boundMs: number) {
    this.#boundMs = boundMs;
  }

  get worstStalenessMs(): number {
    return this.stale.reduce((worst, { stalenessMs }) => Math.max(worst, stalenessMs), 0);
  }

  count(rule: Violation["rule"]): number {
    return this.violations.filter((violation) => violation.rule === rule).length;
  }

  /** Judges what is known of `token`, once no more will be. */
  judge(token: TrackedToken): void {
    const { acknowledged } = token;
    if (acknowledged === undefined) return;
    for (const answer of token.answers) {
      if (answer.verdict !== "VALID" || answer.beganAtMs <= acknowledged.atMs) continue;
      this.stale.push({ stalenessMs: answer.beganAtMs - acknowledged.atMs, beganAtMs: answer.beganAtMs });
      for (const rule of this.#brokenBy(answer, acknowledged)) this.violations.push({ rule, token, answer });
    }
  }

  #brokenBy(answer: Answer, acknowledged: Acknowledgement): Violation["rule"][] {
    const sameProcess = answer.replica === acknowledged.replica && answer.incarnation === acknowledged.incarnation;
    return [
      ...(answer.beganAtMs - acknowledged.atMs > this.#boundMs ? (["after bound"] as const) : []),
      ...(acknowledged.fleet ? (["after fleet"] as const) : []),
      ...(sameProcess ? (["after own acknowledgement"] as const) : []),
    ];
  }
}
