import type { Cursor } from "../../src/token/cursor.ts";
import type { Verification } from "../../src/token/verification.ts";
import { secretOf, tokenId } from "../support/tokens.ts";
import { at, type Call, Checker } from "./checker.ts";
import type { DomainModules } from "./domain-modules.ts";
import { type Action, BOUND_MS, type Deed, type Plan } from "./plan.ts";
import { Random } from "./random.ts";
import { type Replica, startReplica, type World } from "./replica.ts";
import { Scheduler } from "./scheduler.ts";
import { SimJwts } from "./sim-jwts.ts";
import type { Cuts } from "./sim-link.ts";
import { SimRedis } from "./sim-redis.ts";
import { SimTruth } from "./sim-upstream.ts";
import { SimWatcher } from "./sim-watcher.ts";

export interface Outcome {
  readonly violations: readonly string[];
  /** How often each kind of answer was given. */
  readonly counts: ReadonlyMap<string, number>;
  /** The history as lines, when asked for. */
  readonly lines: readonly string[];
}

/** Once nothing is broken any more, every call ends within this time, whatever it has to wait for and to repeat. */
const LONGEST_CALL_MS = 15_000;
/** And every replica and watcher knows every fact within this. */
const CONVERGES_WITHIN_MS = 10_000;
const WATCHERS = 2;
/** One in so many histories has JWTs too: they cost half as much again. */
export const JWTS_IN_EVERY = 3;

/** Plays one history. The same plan and the same classes give the same outcome. */
export async function simulate(plan: Plan, modules: DomainModules, traced = false): Promise<Outcome> {
  return await new Simulation(plan, modules, traced).run();
}

type VerifyDeed = Extract<Deed, { kind: "verify" }>;
type RevokeDeed = Extract<Deed, { kind: "revoke" }>;
/** What happens to one replica. */
type ReplicaDeed = Extract<Deed, { kind: "invalidate" | "cut" | "pause" | "restart" | "jump wall" }>;

class Simulation {
  readonly #plan: Plan;
  readonly #world: World;
  readonly #checker: Checker;
  readonly #cuts: Cuts[];
  readonly #replicas: Replica[] = [];
  readonly #watchers: SimWatcher[];
  readonly #jwts: SimJwts;
  /** Calls under way, with what they are called. */
  readonly #open = new Map<number, { readonly name: string; readonly replica: Replica }>();
  readonly #lines: string[] | undefined;
  #calls = 0;

  constructor(plan: Plan, modules: DomainModules, traced: boolean) {
    const scheduler = new Scheduler();
    const random = new Random(plan.seed ^ 0x5eed);
    const redis = new SimRedis(scheduler, random, plan.maxReplicationMs);
    const truth = new SimTruth(plan, scheduler, random);
    this.#plan = plan;
    this.#world = { plan, modules, scheduler, random, redis, truth };
    this.#checker = new Checker(plan, truth, redis);
    this.#cuts = Array.from({ length: plan.replicas }, () => ({ commandsUntilMs: 0, pushesUntilMs: 0 }));
    const onWatchError = (error: unknown) => this.#checker.violations.push(`a watcher was cut off: ${error}`);
    this.#watchers = Array.from({ length: WATCHERS }, () => new SimWatcher(this.#world, onWatchError));
    this.#jwts = new SimJwts(this.#world, (index) => this.#at(index));
    this.#lines = traced ? [] : undefined;
  }

  async run(): Promise<Outcome> {
    const { plan, scheduler } = this.#world;
    for (let index = 0; index < plan.replicas; index += 1) this.#start(index);
    for (const watcher of this.#watchers) this.#connect(watcher);
    for (const action of plan.actions) scheduler.at(action.atMs, () => this.#do(action));
    if (plan.seed % JWTS_IN_EVERY === 0) this.#jwts.start();
    await scheduler.runUntil(plan.durationMs);
    this.#heal();
    await this.#converge();
    this.#trace(() => "end");
    const violations = [...this.#checker.violations, ...this.#jwts.violations];
    const counts = new Map([...this.#checker.counts, ...this.#jwts.counts]);
    return { violations, counts, lines: this.#lines ?? [] };
  }

  /** What is broken mends; then calls must end and knowledge must spread. */
  #heal(): void {
    const { redis, truth } = this.#world;
    for (const cuts of this.#cuts) Object.assign(cuts, { commandsUntilMs: 0, pushesUntilMs: 0 });
    for (const replica of this.#replicas) replica.process.resume();
    truth.awayUntilMs = 0;
    redis.pause(0);
    if (!redis.up) redis.failOver();
    this.#trace(() => "all is mended");
  }

  async #converge(): Promise<void> {
    const { scheduler } = this.#world;
    const healedAtMs = scheduler.nowMs;
    let missing = ["nobody looked"];
    while (scheduler.nowMs < healedAtMs + CONVERGES_WITHIN_MS && (missing.length > 0 || this.#open.size > 0)) {
      await scheduler.runUntil(scheduler.nowMs + BOUND_MS / 2);
      if (this.#checker.violations.length > 0 || this.#jwts.violations.length > 0) break;
      missing = [...this.#checker.converged(this.#replicas, this.#watchers), ...this.#jwts.converged(this.#replicas)];
    }
    this.#checker.violations.push(...missing);
    const begunBefore = this.#calls;
    if (this.#open.size > 0) await scheduler.runUntil(scheduler.nowMs + LONGEST_CALL_MS);
    for (const [call, { name }] of this.#open) {
      if (call < begunBefore) this.#checker.violations.push(`${name} never ended`);
    }
  }

  #start(index: number): void {
    const name = `replica-${index}`;
    const skewMs = this.#plan.wallSkewsMs[index] ?? 0;
    const cuts = this.#cuts[index] ?? { commandsUntilMs: 0, pushesUntilMs: 0 };
    const replica = startReplica(this.#world, name, cuts, skewMs, () => {
      this.#trace(() => `${name} follows a new epoch, ${replica.revocations.applied.epoch}`);
      this.#checker.restarted(replica);
    });
    this.#replicas[index] = replica;
  }

  #do(action: Action): void {
    const { scheduler, redis, truth } = this.#world;
    const nowMs = scheduler.nowMs;
    if (action.kind !== "verify") this.#trace(() => JSON.stringify({ ...action, atMs: undefined }));
    switch (action.kind) {
      case "verify":
        this.#verify(action, undefined);
        break;
      case "revoke":
        this.#revoke(action);
        break;
      case "revoke elsewhere":
        truth.revoke(action.token);
        break;
      case "flush redis":
        if (redis.up) redis.flush();
        break;
      case "pause redis":
        redis.pause(action.forMs);
        break;
      case "fail over":
      case "restart redis empty":
        this.#crash(action.kind, action.forMs);
        break;
      case "upstream away":
        truth.awayUntilMs = nowMs + action.forMs;
        break;
      case "reconnect watcher":
        this.#connect(this.#watchers[action.watcher % WATCHERS]);
        break;
      default:
        this.#doTo(this.#at(action.replica), action);
    }
  }

  #doTo(replica: Replica, deed: ReplicaDeed): void {
    const nowMs = this.#world.scheduler.nowMs;
    switch (deed.kind) {
      case "invalidate":
        replica.process.run(() => {
          replica.verifier.invalidate(deed.token === undefined ? { all: true } : { tokenId: tokenId(deed.token) });
          this.#checker.invalidated(replica, deed.token);
        });
        break;
      case "cut":
        this.#cut(this.#cuts[deed.replica], deed.commands, deed.pushes, nowMs + deed.forMs);
        break;
      case "pause":
        replica.process.pause(deed.forMs);
        break;
      case "jump wall":
        replica.process.jumpWall(deed.byMs);
        break;
      case "restart":
        this.#restart(deed.replica);
        break;
    }
  }

  #cut(cuts: Cuts | undefined, commands: boolean, pushes: boolean, untilMs: number): void {
    if (cuts === undefined) return;
    if (commands) cuts.commandsUntilMs = untilMs;
    if (pushes) cuts.pushesUntilMs = untilMs;
  }

  #restart(index: number): void {
    const old = this.#at(index);
    old.process.kill();
    for (const [call, { replica }] of this.#open) if (replica === old) this.#open.delete(call);
    this.#start(index);
    for (const watcher of this.#watchers) {
      if (watcher.replica === old) this.#connect(watcher);
    }
  }

  #crash(kind: "fail over" | "restart redis empty", forMs: number): void {
    const { redis, scheduler } = this.#world;
    if (!redis.up) return;
    redis.crash();
    scheduler.after(forMs, () => {
      if (redis.up) return;
      if (kind === "fail over") redis.failOver();
      else redis.restartEmpty();
      this.#trace(() => (kind === "fail over" ? "the standby takes over" : "redis is back, empty"));
    });
  }

  #connect(watcher: SimWatcher | undefined): void {
    watcher?.connect(this.#at(this.#world.random.below(this.#plan.replicas)));
  }

  #verify(deed: VerifyDeed, minCursor: Cursor | undefined): void {
    const { scheduler } = this.#world;
    const { token, maxAgeMs } = deed;
    const replica = this.#at(deed.replica);
    const begunAtMs = scheduler.nowMs;
    const call: Call = { replica, token, begunAtMs, maxAgeMs, afterRevoke: minCursor !== undefined };
    const controller = new AbortController();
    if (deed.cancelAfterMs !== undefined) scheduler.after(deed.cancelAfterMs, () => controller.abort());
    const name = `verify of token ${token} at ${replica.name}, begun at ${at(begunAtMs)}`;
    const answered = (verification: Verification) => {
      this.#checker.answered(call, verification);
      this.#trace(() => `${name}: ${verification.verdict} from ${verification.source}`);
    };
    const request = { presented: secretOf(token), maxAgeMs, minCursor, policy: undefined, signal: controller.signal };
    this.#begin(name, replica, async () => answered(await replica.lane.verify(request)));
  }

  #revoke({ token, wait, bySecret, cancelAfterMs, replica: index }: RevokeDeed): void {
    const { scheduler } = this.#world;
    const replica = this.#at(index);
    const controller = new AbortController();
    if (cancelAfterMs !== undefined) scheduler.after(cancelAfterMs, () => controller.abort());
    const target = bySecret ? { presented: secretOf(token) } : { tokenId: tokenId(token) };
    const request = { target, reason: undefined, wait, signal: controller.signal };
    const name = `revoke of token ${token} at ${replica.name}, ${wait}, begun at ${at(scheduler.nowMs)}`;
    this.#begin(
      name,
      replica,
      async () => {
        const { cursor, unconfirmed } = await replica.revoker.revoke(request);
        this.#checker.acknowledged(replica, token, wait);
        this.#trace(
          () => `${name}: acknowledged, cursor ${cursor.epoch}.${cursor.major}, unconfirmed [${unconfirmed}]`,
        );
        this.#probe(token, cursor);
      },
      (error) => {
        if (this.#reasonOf(error) === "REVOKED_NOT_BROADCAST") this.#checker.refused(replica, token);
      },
    );
  }

  /** Asks everywhere at the instants at which the promise begins to hold. */
  #probe(token: number, cursor: Cursor): void {
    const { scheduler, random } = this.#world;
    const verify = { kind: "verify", token, maxAgeMs: Number.POSITIVE_INFINITY, cancelAfterMs: undefined } as const;
    for (let replica = 0; replica < this.#plan.replicas; replica += 1) {
      for (const delayMs of [0.01, BOUND_MS + 0.01, BOUND_MS + random.between(0, 600), random.between(0, 4_000)]) {
        scheduler.after(delayMs, () => this.#verify({ ...verify, replica }, undefined));
      }
      scheduler.after(random.between(0, 300), () => this.#verify({ ...verify, replica }, cursor));
    }
  }

  /** Runs a call in the replica's process, and remembers it until it ends. */
  #begin(name: string, replica: Replica, call: () => Promise<void>, onError?: (error: unknown) => void): void {
    const id = this.#calls;
    this.#calls += 1;
    this.#open.set(id, { name, replica });
    replica.process.run(() => {
      call()
        .catch((error: unknown) => {
          this.#checker.count(`error ${this.#reasonOf(error)}`);
          onError?.(error);
          this.#trace(() => `${name}: ${this.#reasonOf(error)}`);
        })
        .finally(() => this.#open.delete(id));
    });
  }

  #at(index: number): Replica {
    const replica = this.#replicas[index];
    if (replica === undefined) throw new Error(`there is no replica ${index}`);
    return replica;
  }

  /** Every error that a caller sees has a reason; any other is a bug, and ends the history. */
  #reasonOf(error: unknown): string {
    if (error instanceof this.#world.modules.GatewayError) return error.reason;
    this.#checker.violations.push(`an error without a reason: ${String(error)}`);
    return String(error);
  }

  #trace(line: () => string): void {
    this.#lines?.push(`${at(this.#world.scheduler.nowMs).padStart(14)}  ${line()}`);
  }
}
