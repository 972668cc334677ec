import type { LogEntry, RevocationFact } from "../../src/token/ports.ts";
import type { Token } from "../../src/token/token.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

export interface Lease {
  readonly epoch: string;
  readonly major: number;
  readonly atMs: number;
}

export interface StoredVerdict {
  readonly token: Token;
  /** Virtual time. */
  readonly observedAtMs: number;
  readonly expiresAtMs: number;
}

/** What one Redis process holds. */
export class RedisData {
  meta: { readonly epoch: string; readonly runId: number } | undefined;
  readonly facts: { readonly major: number; readonly fact: RevocationFact }[] = [];
  readonly leases = new Map<string, Lease>();
  readonly verdicts = new Map<string, StoredVerdict>();
  /** By what is claimed: until when. */
  readonly claims = new Map<string, number>();

  clear(): void {
    this.meta = undefined;
    this.facts.length = 0;
    this.leases.clear();
    this.verdicts.clear();
    this.claims.clear();
  }

  copy(): RedisData {
    const copy = new RedisData();
    copy.meta = this.meta;
    copy.facts.push(...this.facts);
    for (const [name, lease] of this.leases) copy.leases.set(name, lease);
    for (const [key, verdict] of this.verdicts) copy.verdicts.set(key, verdict);
    for (const [what, untilMs] of this.claims) copy.claims.set(what, untilMs);
    return copy;
  }
}

type Write = (data: RedisData) => void;

/**
 * A Redis primary and a standby that follows it asynchronously: what had not arrived there when the primary dies is lost,
 * however often it was acknowledged. Ids of entries are a plain count, so that the heir gives lost ids away again.
 */
export class SimRedis {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #maxReplicationMs: number;
  readonly #subscribers = new Set<(entry: LogEntry) => void>();
  #primary = new RedisData();
  #standby = new RedisData();
  /** Writes on their way to the standby, in order. */
  #replicating: { readonly arrivesAtMs: number; readonly write: Write }[] = [];
  #replicatedUntilMs = 0;
  #runId = 1;
  #epochs = 0;
  readonly #epochsBeganAtMs = new Map<string, number>();
  #up = true;
  #pausedUntilMs = 0;
  /** Whether data was ever lost. */
  lost = false;

  constructor(scheduler: Scheduler, random: Random, maxReplicationMs: number) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#maxReplicationMs = maxReplicationMs;
  }

  get up(): boolean {
    return this.#up;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  get data(): RedisData {
    return this.#primary;
  }

  /** Runs a command that has arrived: at once, or when a paused primary goes on. `onDown` when there is no primary then. */
  receive(command: () => void, onDown: () => void): void {
    if (this.#pausedUntilMs > this.nowMs) {
      this.#scheduler.at(this.#pausedUntilMs, () => this.receive(command, onDown));
    } else if (this.#up) command();
    else onDown();
  }

  write(write: Write): void {
    write(this.#primary);
    const arrivesAtMs = this.nowMs + this.#random.between(0, this.#maxReplicationMs);
    this.#replicatedUntilMs = Math.max(this.#replicatedUntilMs, arrivesAtMs);
    this.#replicating.push({ arrivesAtMs: this.#replicatedUntilMs, write });
    if (this.#replicating.length >= 64) this.#replicate();
  }

  /** The epoch of the log: one incarnation of the primary has one. */
  ensureEpoch(): string {
    const { meta } = this.#primary;
    return meta === undefined || meta.runId !== this.#runId ? this.newEpoch() : meta.epoch;
  }

  newEpoch(): string {
    this.#epochs += 1;
    this.#epochsBeganAtMs.set(`e${this.#epochs}`, this.nowMs);
    const meta = { epoch: `e${this.#epochs}`, runId: this.#runId };
    this.write((data) => {
      data.meta = meta;
    });
    return meta.epoch;
  }

  /** When an epoch began. */
  beganAtMs(epoch: string): number {
    return this.#epochsBeganAtMs.get(epoch) ?? 0;
  }

  publish(entry: LogEntry): void {
    for (const subscriber of this.#subscribers) subscriber(entry);
  }

  subscribe(subscriber: (entry: LogEntry) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** The primary dies; `failOver` or `restartEmpty` ends the outage. */
  crash(): void {
    this.#replicate();
    this.#replicating = [];
    this.#pausedUntilMs = 0;
    this.#up = false;
    this.lost = true;
  }

  failOver(): void {
    this.#primary = this.#standby;
    this.#standby = this.#primary.copy();
    this.#start();
  }

  restartEmpty(): void {
    this.#primary = new RedisData();
    this.#standby = new RedisData();
    this.#start();
  }

  flush(): void {
    this.lost = true;
    this.write((data) => data.clear());
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = this.nowMs + forMs;
  }

  #start(): void {
    this.#runId += 1;
    this.#up = true;
  }

  #replicate(): void {
    const arrived = this.#replicating.findIndex(({ arrivesAtMs }) => arrivesAtMs > this.nowMs);
    for (const { write } of this.#replicating.splice(0, arrived === -1 ? Number.POSITIVE_INFINITY : arrived)) {
      write(this.#standby);
    }
  }
}
