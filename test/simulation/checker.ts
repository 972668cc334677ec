import { factKeyOf } from "../../src/token/facts.ts";
import type { Token } from "../../src/token/token.ts";
import type { Verification } from "../../src/token/verification.ts";
import { tokenId } from "../support/tokens.ts";
import { BOUND_MS, type Plan } from "./plan.ts";
import { minHoldMs, type Replica } from "./replica.ts";
import { type SimProcess, WALL_START_MS } from "./sim-process.ts";
import type { SimRedis } from "./sim-redis.ts";
import { evidenceOf, numberOf, type SimTruth } from "./sim-upstream.ts";

/** A verification under way. All times are virtual and global. */
export interface Call {
  readonly replica: Replica;
  readonly token: number;
  readonly begunAtMs: number;
  readonly maxAgeMs: number;
  /** Given with the cursor of an acknowledged revoke of the same token. */
  readonly afterRevoke: boolean;
}

/** Rounding of sums of fractional milliseconds. */
const EPSILON_MS = 1e-6;

/** What one process promised. */
interface Promised {
  /** By token: since when it must not call it valid. */
  readonly refusedSinceMs: Map<number, number>;
  /** By token: evidence from before that must not decide. */
  readonly worthlessUntilMs: Map<number, number>;
  /** By token: the youngest evidence that the upstream gave a caller. */
  readonly newestEvidenceMs: Map<number, number>;
  allWorthlessUntilMs: number;
}

/** Judges every answer, with a knowledge of time and truth that nobody in the simulation has. */
export class Checker {
  readonly #plan: Plan;
  readonly #truth: SimTruth;
  readonly #redis: SimRedis;
  readonly #promised = new Map<SimProcess, Promised>();
  /** By token: the first acknowledgement of any revoke, and the first return of one that waited for the fleet. */
  readonly #acknowledgedAtMs = new Map<number, number>();
  readonly #fleetAtMs = new Map<number, number>();
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();

  constructor(plan: Plan, truth: SimTruth, redis: SimRedis) {
    this.#plan = plan;
    this.#truth = truth;
    this.#redis = redis;
  }

  acknowledged(replica: Replica, token: number, wait: "replica" | "fleet"): void {
    this.count(`acknowledged ${wait}`);
    this.refused(replica, token);
    const nowMs = this.#nowMs;
    if (!this.#acknowledgedAtMs.has(token)) this.#acknowledgedAtMs.set(token, nowMs);
    if (wait === "fleet" && !this.#fleetAtMs.has(token)) this.#fleetAtMs.set(token, nowMs);
    if (!this.#truth.revokedAtMs.has(token))
      this.#fail(`acknowledged the revoke of token ${token}, which is not revoked`);
  }

  /** The replica knows that the token is revoked, whether or not others were told. */
  refused(replica: Replica, token: number): void {
    const { refusedSinceMs } = this.#of(replica);
    if (!refusedSinceMs.has(token)) refusedSinceMs.set(token, this.#nowMs);
  }

  /** The replica follows another epoch of the log: no evidence from before that epoch may decide any more. */
  restarted(replica: Replica): void {
    const promised = this.#of(replica);
    const beganAtMs = this.#redis.beganAtMs(replica.revocations.applied.epoch);
    promised.allWorthlessUntilMs = Math.max(promised.allWorthlessUntilMs, beganAtMs);
  }

  /** What was observed until now must decide nothing any more at this replica. */
  invalidated(replica: Replica, token: number | undefined): void {
    const promised = this.#of(replica);
    if (token === undefined) promised.allWorthlessUntilMs = this.#nowMs;
    else promised.worthlessUntilMs.set(token, this.#nowMs);
  }

  answered(call: Call, { verdict, token, source, observedAtMs }: Verification): void {
    this.count(`${verdict} ${source}`);
    if (verdict === "valid" && token !== undefined) this.#checkValid(call, token, source);
    if (verdict === "revoked" && !this.#truth.revokedAtMs.has(call.token)) {
      this.#fail(`${nameOf(call)}: REVOKED, and it is not`);
    }
    if (verdict === "expired" && this.#plan.expiresAtMs[call.token] === undefined) {
      this.#fail(`${nameOf(call)}: EXPIRED, and it never does`);
    }
    if (source !== "upstream" || observedAtMs === undefined) return;
    const { newestEvidenceMs } = this.#of(call.replica);
    const { process } = call.replica;
    const skewMs = process.wallMs() - WALL_START_MS - this.#nowMs;
    if (process.wallJumped) return;
    const startedAtMs = observedAtMs - WALL_START_MS - skewMs;
    newestEvidenceMs.set(call.token, Math.max(startedAtMs, newestEvidenceMs.get(call.token) ?? 0));
  }

  /**
   * After everything healed: every live replica and every watcher knows every revocation that was acknowledged. One may be
   * gone if the log lost it and every replica that held it died (the upstream is then asked, and knows), or once it has been
   * held for its time.
   */
  converged(
    replicas: readonly Replica[],
    watchers: readonly { facts: ReadonlySet<string>; replica: Replica | undefined }[],
  ): string[] {
    const missing: string[] = [];
    const facts = [...this.#acknowledgedAtMs.keys()].filter((token) => this.#mustSurvive(token, replicas));
    for (const token of facts) {
      for (const replica of replicas) {
        if (replica.revocations.find(tokenId(token)) === undefined) {
          missing.push(`${replica.name} lost the acknowledged fact about token ${token}`);
        }
      }
    }
    for (const [index, { facts: seenFacts, replica }] of watchers.entries()) {
      if (replica === undefined) continue;
      const { epoch } = replica.revocations.applied;
      const entries = replica.revocations.after({ epoch, major: 0, minor: 0 }, 1_000);
      const server = new Set<string>(entries.map(({ fact }) => factKeyOf(fact)));
      const seen = [...seenFacts].filter((id) => server.has(id) || !this.#isGone(id));
      if (server.size !== seen.length || !seen.every((id) => server.has(id)))
        missing.push(`watcher ${index} of ${replica.name} has [${seen}], not [${[...server]}]`);
      for (const token of facts) {
        if (!seenFacts.has(tokenId(token))) missing.push(`watcher ${index} was not told of token ${token}`);
      }
    }
    return missing;
  }

  /** Whether nobody need remember a fact any more; those about JWTs outlive every history, but not every loss. */
  #isGone(key: string): boolean {
    for (let n = 0; n < this.#plan.tokens; n += 1) if (tokenId(n) === key) return this.#isForgettable(n);
    return this.#redis.lost;
  }

  #isForgettable(token: number): boolean {
    return (this.#truth.revokedAtMs.get(token) ?? 0) + minHoldMs(this.#plan) <= this.#nowMs;
  }

  #mustSurvive(token: number, replicas: readonly Replica[]): boolean {
    if (this.#isForgettable(token)) return false;
    if (!this.#redis.lost) return true;
    return replicas.some(
      (replica) =>
        replica.revocations.find(tokenId(token)) !== undefined || this.#of(replica).refusedSinceMs.has(token),
    );
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #checkValid(call: Call, token: Token, source: string): void {
    const n = call.token;
    const nowMs = this.#nowMs;
    const { startedAtMs } = evidenceOf(token);
    const promised = this.#of(call.replica);
    const complain = (what: string) =>
      this.#fail(`${nameOf(call)}: VALID from ${source} at ${at(nowMs)} on evidence of ${at(startedAtMs)}, ${what}`);

    if (token.id !== tokenId(n)) complain(`about ${numberOf(token.id, tokenId)}`);
    this.#checkPromise(call, token, source, complain);
    const refusedSinceMs = promised.refusedSinceMs.get(n);
    if (refusedSinceMs !== undefined)
      complain(`which this replica has known to be revoked since ${at(refusedSinceMs)}`);
    if (call.afterRevoke) complain("though asked to decide after the cursor of its revoke");

    const worthlessUntilMs = Math.max(promised.allWorthlessUntilMs, promised.worthlessUntilMs.get(n) ?? -1);
    if (startedAtMs < worthlessUntilMs - EPSILON_MS) complain(`which was invalidated at ${at(worthlessUntilMs)}`);
    if (startedAtMs < call.begunAtMs - call.maxAgeMs - EPSILON_MS) complain("older than max_age allows");
    if (source !== "upstream" && nowMs - startedAtMs > this.#plan.ttlMs + EPSILON_MS) complain("older than the TTL");
    const newestMs = promised.newestEvidenceMs.get(n) ?? 0;
    if (source === "memory" && startedAtMs < newestMs - 1) complain(`after an answer on evidence of ${at(newestMs)}`);
    if (token.expiresAtMs !== undefined && token.expiresAtMs <= call.replica.process.wallMs())
      complain("after it expired");
  }

  /**
   * The promise. An upstream with propagation lag may still call a token good after it confirmed the revoke: such an answer
   * (a "lie") is the upstream's, and is held against the gateway only where the fact must have been known. It need not
   * have been where the log lost data, or from the upstream itself before the replica had read the log.
   */
  #checkPromise(call: Call, token: Token, source: string, complain: (what: string) => void): void {
    const nowMs = this.#nowMs;
    const acknowledgedAtMs = this.#acknowledgedAtMs.get(call.token);
    const fleetAtMs = this.#fleetAtMs.get(call.token);
    const revokedAtMs = this.#truth.revokedAtMs.get(call.token);
    const isLie = revokedAtMs !== undefined && evidenceOf(token).decidedAtMs >= revokedAtMs;
    if (isLie && this.#plan.upstreamLagMs === 0) throw new Error("the simulated upstream lied without lag");
    if (isLie && (source === "upstream" || this.#redis.lost)) return;
    if (acknowledgedAtMs === undefined) return;
    // To join a question that others asked is to use a cache: what counts is when the call began.
    const usedAtMs = source === "upstream" ? call.begunAtMs : nowMs;
    if (usedAtMs > acknowledgedAtMs + BOUND_MS + EPSILON_MS)
      complain(`B after the acknowledgement at ${at(acknowledgedAtMs)}`);
    if (fleetAtMs !== undefined && call.begunAtMs > fleetAtMs)
      complain(`after a WAIT_FLEET revoke returned at ${at(fleetAtMs)}`);
  }

  #of({ process }: Replica): Promised {
    let promised = this.#promised.get(process);
    if (promised === undefined) {
      promised = {
        refusedSinceMs: new Map(),
        worthlessUntilMs: new Map(),
        newestEvidenceMs: new Map(),
        allWorthlessUntilMs: -1,
      };
      this.#promised.set(process, promised);
    }
    return promised;
  }

  get #nowMs(): number {
    return this.#truth.scheduler.nowMs;
  }

  #fail(violation: string): void {
    this.violations.push(violation);
  }
}

function nameOf({ replica, token, begunAtMs }: Call): string {
  return `verify of token ${token} at ${replica.name}, begun at ${at(begunAtMs)}`;
}

export function at(timeMs: number): string {
  return `${timeMs.toFixed(3)} ms`;
}
