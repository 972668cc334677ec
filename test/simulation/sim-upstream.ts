import type { Lane, Upstream } from "../../src/token/ports.ts";
import type { CreatedToken, Token, TokenId, TokenSecret } from "../../src/token/token.ts";
import { secretOf, token, tokenId } from "../support/tokens.ts";
import type { DomainModules } from "./domain-modules.ts";
import { type Plan, UPSTREAM_TIMEOUT_MS } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import { type SimProcess, WALL_START_MS } from "./sim-process.ts";

/**
 * The truth about tokens, of which every replica has its own connection. A question is decided at some instant between its
 * start and its answer. Both instants travel in the token, so that the checker knows what a verdict rests on.
 */
export class SimTruth {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** By token: when it was revoked, virtual time. */
  readonly revokedAtMs = new Map<number, number>();
  awayUntilMs = 0;

  constructor(plan: Plan, scheduler: Scheduler, random: Random) {
    this.plan = plan;
    this.scheduler = scheduler;
    this.random = random;
  }

  revoke(n: number): void {
    if (!this.revokedAtMs.has(n)) this.revokedAtMs.set(n, this.scheduler.nowMs);
  }

  /** What a question that began at `startedAtMs` and is decided now hears. */
  describe(n: number, startedAtMs: number): Token | undefined {
    const { plan, random, scheduler } = this;
    const revokedAtMs = this.revokedAtMs.get(n);
    const isHidden = revokedAtMs !== undefined && scheduler.nowMs < revokedAtMs + random.between(0, plan.upstreamLagMs);
    const revoked = revokedAtMs !== undefined && !isHidden;
    return revoked && plan.revokedAs === "refusal" ? undefined : this.tokenOf(n, revoked, startedAtMs);
  }

  tokenOf(n: number, revoked: boolean, startedAtMs: number): Token {
    const expiresAtMs = this.plan.expiresAtMs[n];
    const nowMs = this.scheduler.nowMs;
    return token(n, {
      revoked,
      expired: expiresAtMs !== undefined && expiresAtMs <= nowMs,
      expiresAtMs: expiresAtMs === undefined ? undefined : WALL_START_MS + expiresAtMs,
      updatedAtMs: startedAtMs,
      lastUsedAtMs: nowMs,
    });
  }
}

/** When the question was asked and when it was decided, virtual time. */
export function evidenceOf({ updatedAtMs, lastUsedAtMs }: Token): { startedAtMs: number; decidedAtMs: number } {
  return { startedAtMs: updatedAtMs, decidedAtMs: lastUsedAtMs ?? updatedAtMs };
}

/** One process's client of the upstream. */
export class SimUpstream implements Upstream {
  readonly verifyScope = "simulated";
  readonly #truth: SimTruth;
  readonly #process: SimProcess;
  readonly #modules: DomainModules;

  constructor(truth: SimTruth, process: SimProcess, modules: DomainModules) {
    this.#truth = truth;
    this.#process = process;
    this.#modules = modules;
  }

  verifyToken(secret: TokenSecret, _lane: Lane, signal: AbortSignal): Promise<Token | undefined> {
    const n = numberOf(secret, secretOf);
    const startedAtMs = this.#truth.scheduler.nowMs;
    return this.#exchange(signal, () => ({ answer: this.#truth.describe(n, startedAtMs) }));
  }

  revokeToken(id: TokenId, _reason: string | undefined, signal: AbortSignal): Promise<Token> {
    const { GatewayError } = this.#modules;
    const truth = this.#truth;
    const n = numberOf(id, tokenId);
    const startedAtMs = truth.scheduler.nowMs;
    return this.#exchange(signal, () => {
      if (truth.revokedAtMs.has(n) && truth.plan.revokedAs === "refusal") {
        return { error: new GatewayError("UPSTREAM_NOT_FOUND", "revoked before") };
      }
      truth.revoke(n);
      return { answer: truth.tokenOf(n, true, startedAtMs) };
    });
  }

  createToken(): Promise<CreatedToken> {
    throw new Error("not simulated");
  }

  async listTokens(): Promise<never> {
    throw new this.#modules.GatewayError("CREDENTIAL_MISSING", "no key that lists");
  }

  /** A failure may come before or after the deed. */
  #exchange<T>(signal: AbortSignal, decide: () => { answer: T } | { error: Error }): Promise<T> {
    const { scheduler, random, plan, awayUntilMs } = this.#truth;
    const { GatewayError } = this.#modules;
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#process.after(UPSTREAM_TIMEOUT_MS, () =>
        reject(new GatewayError("UPSTREAM_TIMEOUT", "no answer in time")),
      );
      signal.addEventListener("abort", () => reject(new GatewayError("CANCELED", "canceled")), { once: true });
      const fail = () => this.#process.run(() => reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away")));
      const tookMs = random.between(...plan.upstreamMs);
      const decidesAfterMs = tookMs * random.next();
      const fails = random.chance(plan.upstreamFailures);
      if (awayUntilMs > scheduler.nowMs || (fails && random.chance(0.5))) {
        scheduler.after(decidesAfterMs, fail);
        return;
      }
      scheduler.after(decidesAfterMs, () => {
        const decided = decide();
        scheduler.after(tookMs - decidesAfterMs, () => {
          cancelTimer();
          if (fails) fail();
          else if ("answer" in decided) this.#process.run(() => resolve(decided.answer));
          else this.#process.run(() => reject(decided.error));
        });
      });
    });
  }
}

/** Which token a name is of. */
export function numberOf<T extends string>(name: string, nameOf: (n: number) => T): number {
  for (let n = 0; n < 8; n += 1) if (nameOf(n) === name) return n;
  throw new Error(`no token is called ${name}`);
}
