import type { Cursor } from "../../src/token/cursor.ts";
import type { MachineId, TokenSecret } from "../../src/token/token.ts";
import type { Verification } from "../../src/token/verification.ts";
import { goodClaims, goodHeader, makeIssuerKey, mintRaw } from "../support/jwts.ts";
import { tokenId } from "../support/tokens.ts";
import { at } from "./checker.ts";
import { BOUND_MS } from "./plan.ts";
import { Random } from "./random.ts";
import type { Replica, World } from "./replica.ts";
import { WALL_START_MS } from "./sim-process.ts";

export const JWT_KEY = makeIssuerKey();
const MINTED_S = WALL_START_MS / 1000 - 1_000;
/** Not the machine that minted the opaque tokens: nobody revokes those here. */
const ALPHA = `mch_alpha${"0".repeat(22)}` as MachineId;
const BETA = `mch_beta${"0".repeat(23)}` as MachineId;
/** Ids that no simulated opaque token has. */
const FIRST_ID = 100;

interface SimJwt {
  readonly n: number;
  readonly subject: MachineId;
  readonly secret: TokenSecret;
}

/** Two of one machine and one of another. */
const JWTS: readonly SimJwt[] = [ALPHA, ALPHA, BETA].map((subject, index) => {
  const n = FIRST_ID + index;
  const claims = { ...goodClaims(n), sub: subject, iat: MINTED_S, nbf: MINTED_S, exp: MINTED_S + 10_000_000 };
  return { n, subject, secret: mintRaw(JWT_KEY, goodHeader(JWT_KEY), claims) };
});

type Wait = "replica" | "fleet";

/**
 * Clients with JWTs, beside those with opaque tokens, in the same history: they verify at all replicas, revoke one JWT and
 * one machine, and hold every answer against what was acknowledged.
 */
export class SimJwts {
  readonly #world: World;
  readonly #random: Random;
  readonly #replicaAt: (index: number) => Replica;
  readonly #acknowledgedAtMs = new Map<number, number>();
  readonly #fleetAtMs = new Map<number, number>();
  readonly #refusedBy = new WeakMap<object, Set<number>>();
  /** Those that may be revoked: somebody has begun to. */
  readonly #condemned = new Set<number>();
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();

  constructor(world: World, replicaAt: (index: number) => Replica) {
    this.#world = world;
    this.#random = new Random(world.plan.seed ^ 0x0707);
    this.#replicaAt = replicaAt;
  }

  start(): void {
    const { scheduler, plan } = this.#world;
    const random = this.#random;
    const within = (share: number) => random.between(0.1 * plan.durationMs, share * plan.durationMs);
    const replica = () => random.below(plan.replicas);
    const wait = (): Wait => random.pick(["replica", "fleet"]);
    for (let atMs = 0; atMs < plan.durationMs; atMs += random.between(50, 400)) {
      const [jwt, index] = [random.pick([...JWTS] as [SimJwt, ...SimJwt[]]), replica()];
      scheduler.at(atMs, () => this.#verify(jwt, index, undefined));
    }
    const [first, , other] = JWTS;
    const one = random.chance(0.5) ? first : other;
    if (one !== undefined) {
      const [index, until, byId] = [replica(), wait(), random.chance(0.5)];
      scheduler.at(within(0.7), () => this.#revoke(one, index, until, byId));
    }
    if (random.chance(0.7)) {
      const atMs = within(0.6);
      const [index, until, second] = [replica(), wait(), replica()];
      scheduler.at(atMs, () => this.#revokeSubject(index, until, undefined));
      // A lower watermark, later, and perhaps somewhere else: it must change nothing.
      if (random.chance(0.5)) {
        const lower = (MINTED_S - 60) * 1000;
        scheduler.at(atMs + random.between(1, 1_000), () => this.#revokeSubject(second, "replica", lower));
      }
    }
  }

  /** Every replica refuses what was acknowledged, once all is mended, unless the log lost it. */
  converged(replicas: readonly Replica[]): string[] {
    if (this.#world.redis.lost) return [];
    const missing: string[] = [];
    for (const n of this.#acknowledgedAtMs.keys()) {
      for (const replica of replicas) {
        const bytes = Buffer.from(jwtOf(n).secret);
        const verification = replica.verifier.recallBytes(bytes, 0, bytes.length);
        if (verification?.verdict === "valid") missing.push(`${replica.name} accepts the revoked JWT ${n}`);
      }
    }
    return missing;
  }

  #verify({ n, secret }: SimJwt, index: number, minCursor: Cursor | undefined): void {
    const replica = this.#replicaAt(index);
    const begunAtMs = this.#world.scheduler.nowMs;
    const { signal } = new AbortController();
    const request = { presented: secret, maxAgeMs: Number.POSITIVE_INFINITY, minCursor, policy: undefined, signal };
    const refused = this.#refusedOf(replica).has(n);
    this.#run(replica, async () => {
      const verification = await replica.lane.verify(request);
      this.#check(n, replica, verification, { begunAtMs, mustRefuse: refused || minCursor !== undefined });
    });
  }

  #revoke(jwt: SimJwt, index: number, wait: Wait, byId: boolean): void {
    const replica = this.#replicaAt(index);
    const target = byId ? { tokenId: tokenId(jwt.n), isJwt: true } : { presented: jwt.secret };
    this.#condemned.add(jwt.n);
    this.#run(replica, async () => {
      const { signal } = new AbortController();
      const { cursor } = await replica.revoker.revoke({ target, reason: undefined, wait, signal });
      this.#acknowledge([jwt.n], replica, wait, cursor);
    });
  }

  #revokeSubject(index: number, wait: Wait, issuedBeforeMs: number | undefined): void {
    const replica = this.#replicaAt(index);
    const mine = JWTS.filter(({ subject }) => subject === ALPHA).map(({ n }) => n);
    if (issuedBeforeMs === undefined) for (const n of mine) this.#condemned.add(n);
    this.#run(replica, async () => {
      const { signal } = new AbortController();
      const request = { subject: ALPHA, issuedBeforeMs, reason: undefined, wait, signal };
      for await (const step of replica.subjectRevoker.revokeSubject(request)) {
        if (step.kind !== "watermark" || step.issuedBeforeMs <= MINTED_S * 1000) continue;
        this.#acknowledge(mine, replica, wait, step.cursor);
      }
    });
  }

  #acknowledge(jwts: readonly number[], replica: Replica, wait: Wait, cursor: Cursor): void {
    const { scheduler, plan } = this.#world;
    const nowMs = scheduler.nowMs;
    this.#count(`JWT acknowledged ${wait}`);
    for (const n of jwts) {
      this.#refusedOf(replica).add(n);
      if (!this.#acknowledgedAtMs.has(n)) this.#acknowledgedAtMs.set(n, nowMs);
      if (wait === "fleet" && !this.#fleetAtMs.has(n)) this.#fleetAtMs.set(n, nowMs);
      for (let index = 0; index < plan.replicas; index += 1) {
        for (const delayMs of [0.01, BOUND_MS + 0.01, this.#random.between(0, 3_000)]) {
          scheduler.after(delayMs, () => this.#verify(jwtOf(n), index, undefined));
        }
        scheduler.after(this.#random.between(0, 300), () => this.#verify(jwtOf(n), index, cursor));
      }
    }
  }

  #check(
    n: number,
    replica: Replica,
    { verdict }: Verification,
    { begunAtMs, mustRefuse }: { begunAtMs: number; mustRefuse: boolean },
  ): void {
    this.#count(`JWT ${verdict}`);
    const nowMs = this.#world.scheduler.nowMs;
    const complain = (what: string) =>
      this.violations.push(
        `JWT ${n} at ${replica.name}, begun at ${at(begunAtMs)}: ${verdict} at ${at(nowMs)}, ${what}`,
      );
    if (verdict === "revoked" && !this.#condemned.has(n)) complain("and nobody revoked it");
    if (verdict !== "valid" && verdict !== "revoked") complain("which it never is");
    if (verdict !== "valid") return;
    if (mustRefuse) complain("though this replica knew");
    if (this.#world.redis.lost && !this.#heals()) return;
    const acknowledgedAtMs = this.#acknowledgedAtMs.get(n) ?? Number.POSITIVE_INFINITY;
    const fleetAtMs = this.#fleetAtMs.get(n) ?? Number.POSITIVE_INFINITY;
    if (nowMs > acknowledgedAtMs + BOUND_MS + 1e-6) complain(`B after the acknowledgement at ${at(acknowledgedAtMs)}`);
    if (begunAtMs > fleetAtMs) complain(`after a WAIT_FLEET revoke returned at ${at(fleetAtMs)}`);
  }

  /**
   * Whether a fact that the log loses must come back in time: the replica that holds it lives and reaches the new epoch within
   * the bound. Elsewhere the promise for JWTs ends, as docs/consistency.md says.
   */
  #heals(): boolean {
    const { actions, networkMs, requestLoss } = this.#world.plan;
    const cutsOff = ["cut", "pause", "restart", "pause redis"];
    return networkMs[1] <= 20 && requestLoss === 0 && !actions.some(({ kind }) => cutsOff.includes(kind));
  }

  #run(replica: Replica, call: () => Promise<void>): void {
    replica.process.run(() => {
      call().catch((error: unknown) => {
        const { GatewayError } = this.#world.modules;
        if (error instanceof GatewayError) this.#count(`JWT error ${error.reason}`);
        else this.violations.push(`an error without a reason: ${String(error)}`);
      });
    });
  }

  #refusedOf({ process }: Replica): Set<number> {
    const refused = this.#refusedBy.get(process) ?? new Set<number>();
    this.#refusedBy.set(process, refused);
    return refused;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

function jwtOf(n: number): SimJwt {
  const jwt = JWTS[n - FIRST_ID];
  if (jwt === undefined) throw new Error(`there is no JWT ${n}`);
  return jwt;
}
