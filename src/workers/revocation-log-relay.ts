import { type Cursor, compareCursors } from "../token/cursor.ts";
import { canceled } from "../token/errors.ts";
import type { Clock, RevocationLog } from "../token/ports.ts";
import type { Channel } from "./channel.ts";
import { formatAnswer, type LogAnswer, type LogRequest, parseRequest } from "./log-messages.ts";
import type { LogMirror } from "./log-mirror.ts";

export interface RevocationLogRelayOptions {
  readonly log: RevocationLog;
  readonly mirror: LogMirror;
  readonly clock: Clock;
  /** The staleness bound B. */
  readonly boundMs: number;
  /** A worker sent what is no request. */
  readonly onError: (error: unknown) => void;
}

/** A worker that may use cached verdicts now or later. */
interface Member {
  readonly name: string;
  readonly channel: Channel;
  /** The last that it said it has applied; `undefined` when it has said nothing. */
  applied: Cursor | undefined;
  /** When the last of its reads that was answered had arrived. */
  contactAtMs: number;
  /** Its appends and waits under way, by id. */
  readonly calls: Map<number, AbortController>;
}

interface WaitingRead {
  readonly member: Member;
  readonly id: number;
  readonly after: Cursor | undefined;
  readonly arrivedAtMs: number;
}

/**
 * Follows the log once for all workers of this host, which are one replica to the fleet: one reader, one lease. Two things
 * make that as good as a reader in each worker.
 *
 * A worker takes the start of its read for its proof of contact. So the read of the log that answers it begins after its
 * request has arrived: one that arrives while a read is under way waits for the next, which those who wait share.
 *
 * The lease says "applied up to X, at T" and must hold for every worker. X is the least that any worker which may be using
 * its caches has said it applied. A worker that was not yet answered, or whose last answered read arrived more than B ago,
 * does not use them: its contact is no younger than that arrival. Before it does so again it is answered, by a read that
 * told no X beyond its own end; and from then on it counts with what it has said itself. T is no earlier than any worker's
 * contact, because the lease is written by the read that answers. A worker leaves only by saying so, or by its process
 * having ended: one that merely fell silent goes on counting for B.
 */
export class RevocationLogRelay {
  readonly #options: RevocationLogRelayOptions;
  readonly #members = new Set<Member>();
  readonly #closing = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;
  #waiting: WaitingRead[] = [];
  /** Those that the read under way will answer. */
  #round: readonly WaitingRead[] = [];
  #running: Promise<void> | undefined;
  /** Whether what the fleet was told is less than what it could be. */
  #mustTell = false;

  constructor(options: RevocationLogRelayOptions) {
    this.#options = options;
    this.#unsubscribe = options.log.subscribe((entry) => {
      const push = formatAnswer({ kind: "entry", entry });
      for (const { channel } of this.#members) channel.send(push);
    });
  }

  /** Serves a worker. What it returns must be called when the worker's process has ended, and not before. */
  attach(name: string, channel: Channel): () => void {
    const member: Member = {
      name,
      channel,
      applied: undefined,
      contactAtMs: Number.NEGATIVE_INFINITY,
      calls: new Map(),
    };
    this.#members.add(member);
    const stop = channel.listen((message) => this.#receive(member, message));
    return () => {
      stop();
      this.#remove(member);
    };
  }

  /** Answers nobody any more. The log stays open. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#unsubscribe();
    for (const member of [...this.#members]) this.#remove(member);
    await this.#running;
  }

  #receive(member: Member, message: unknown): void {
    let request: LogRequest | undefined;
    try {
      request = parseRequest(message);
    } catch (error) {
      this.#options.onError(error);
      return;
    }
    if (request === undefined) return;
    const { id } = request;
    if (request.kind === "cancel") member.calls.get(id)?.abort();
    else if (!this.#members.has(member)) this.#send(member, { kind: "failed", id, message: "this worker has left" });
    else if (request.kind === "leave") {
      this.#remove(member);
      this.#send(member, { kind: "left", id });
    } else if (request.kind === "read") this.#enqueue(member, id, request.after);
    else void this.#call(member, request);
  }

  #enqueue(member: Member, id: number, after: Cursor | undefined): void {
    // It is true from now on, whatever becomes of the read.
    if (after !== undefined) member.applied = after;
    this.#waiting.push({ member, id, after, arrivedAtMs: this.#options.clock.monotonicMs() });
    this.#wake();
    this.#startRounds();
  }

  #startRounds(): void {
    this.#running ??= this.#runRounds();
  }

  async #runRounds(): Promise<void> {
    while ((this.#waiting.length > 0 || this.#mustTell) && !this.#closing.signal.aborted) {
      this.#round = this.#waiting;
      this.#waiting = [];
      this.#mustTell = false;
      try {
        await this.#readToEnd();
        for (const read of this.#round) this.#answer(read);
      } catch (error) {
        for (const { member, id } of this.#round) this.#send(member, failed(id, error));
      }
      this.#round = [];
      this.#wake();
    }
    this.#running = undefined;
  }

  async #readToEnd(): Promise<void> {
    const { log, mirror } = this.#options;
    const { signal } = this.#closing;
    const told = this.#appliedByAll();
    const { head } = mirror;
    const ahead = told !== undefined && head?.epoch === told.epoch && compareCursors(told, head) > 0;
    mirror.absorb(await log.read(ahead ? head : told, signal));
    // A worker may know of an entry, its own, that was not read here before. Without it the fleet would not be told.
    if (ahead) mirror.absorb(await log.read(told, signal));
    // With nobody to wait for, what was just read is applied.
    if (this.#members.size === 0 && !isSame(mirror.head, told)) this.#mustTell = true;
  }

  /**
   * Up to where every worker that may use its caches has applied the log. Where they follow different epochs, the cursor of
   * an old one, which tells the fleet that nothing is applied. Where none may use its caches, anything is true.
   */
  #appliedByAll(): Cursor | undefined {
    const { head } = this.#options.mirror;
    if (head === undefined) return undefined;
    let least: Cursor | undefined;
    for (const member of this.#members) {
      if (!this.#mayUseCaches(member)) continue;
      const { applied } = member;
      if (applied === undefined || applied.epoch !== head.epoch) return applied;
      if (least === undefined || compareCursors(applied, least) < 0) least = applied;
    }
    return least ?? head;
  }

  #mayUseCaches({ contactAtMs }: Member): boolean {
    return this.#options.clock.monotonicMs() - contactAtMs <= this.#options.boundMs;
  }

  #answer({ member, id, after, arrivedAtMs }: WaitingRead): void {
    member.contactAtMs = arrivedAtMs;
    this.#send(member, { kind: "read_to_end", id, read: this.#options.mirror.after(after) });
  }

  async #call(member: Member, request: Extract<LogRequest, { kind: "append" | "await_fleet" }>): Promise<void> {
    const { id } = request;
    const controller = new AbortController();
    member.calls.set(id, controller);
    try {
      if (request.kind === "append") {
        const cursor = await this.#options.log.append(request.fact, controller.signal);
        this.#send(member, { kind: "appended", id, cursor });
      } else {
        const unconfirmed = await this.#awaitFleet(request.cursor, controller);
        this.#send(member, { kind: "fleet", id, unconfirmed });
      }
    } catch (error) {
      this.#send(member, failed(id, error));
    } finally {
      // Also whatever part of it is still under way.
      controller.abort();
      member.calls.delete(id);
    }
  }

  async #awaitFleet(cursor: Cursor, { signal }: AbortController): Promise<readonly string[]> {
    const names = await Promise.all([this.#awaitMembers(cursor, signal), this.#options.log.awaitFleet(cursor, signal)]);
    return [...new Set(names.flat())].sort();
  }

  /** The workers' part of `RevocationLog.awaitFleet`, without which a log in memory would wait for nobody. */
  async #awaitMembers(cursor: Cursor, signal: AbortSignal): Promise<readonly string[]> {
    for (;;) {
      if (signal.aborted) throw canceled();
      const behind = [...this.#members].filter((member) => !this.#hasApplied(member, cursor));
      // What is read for a worker now may lack the entry; what is read for it later does not.
      const open = behind.filter((member) => this.#mayUseCaches(member) || this.#isBeingAnswered(member));
      if (open.length === 0) return behind.filter(wasAnswered).map(({ name }) => name);
      await this.#nextChange(Math.min(...open.map((member) => this.#mayUseForMs(member))), signal);
    }
  }

  /** A worker that follows the present epoch has dropped its caches on entering it, so it needs nothing of another one. */
  #hasApplied({ applied }: Member, cursor: Cursor): boolean {
    if (applied === undefined) return false;
    if (applied.epoch === cursor.epoch) return compareCursors(applied, cursor) >= 0;
    return applied.epoch === this.#options.mirror.head?.epoch;
  }

  #isBeingAnswered(member: Member): boolean {
    return this.#round.some((read) => read.member === member);
  }

  #mayUseForMs({ contactAtMs }: Member): number {
    const { clock, boundMs } = this.#options;
    const leftMs = contactAtMs + boundMs - clock.monotonicMs();
    return leftMs < 0 ? boundMs : leftMs + 1;
  }

  /** Resolves when a worker said something or left, a read ended, `timeoutMs` passed, or at an abort. */
  #nextChange(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#listeners.delete(wake);
        cancelTimer();
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#listeners.add(wake);
      const cancelTimer = this.#options.clock.after(timeoutMs, wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#listeners]) wake();
  }

  #remove(member: Member): void {
    this.#members.delete(member);
    for (const call of member.calls.values()) call.abort();
    this.#wake();
    if (this.#closing.signal.aborted || this.#options.mirror.head === undefined) return;
    this.#mustTell = true;
    this.#startRounds();
  }

  #send({ channel }: Member, answer: LogAnswer): void {
    channel.send(formatAnswer(answer));
  }
}

function wasAnswered({ contactAtMs }: Member): boolean {
  return contactAtMs !== Number.NEGATIVE_INFINITY;
}

function isSame(a: Cursor | undefined, b: Cursor | undefined): boolean {
  return a !== undefined && b !== undefined && a.epoch === b.epoch && compareCursors(a, b) === 0;
}

function failed(id: number, error: unknown): LogAnswer {
  return { kind: "failed", id, message: error instanceof Error ? error.message : "it failed" };
}
