import { randomBytes } from "node:crypto";
import type { Cursor } from "../token/cursor.ts";
import { canceled } from "../token/errors.ts";
import type { Fleet, LogEntry, LogRead, ReplicaContact, RevocationFact, RevocationLog } from "../token/ports.ts";
import { type Client, runScript, waitUntilReady } from "./connection.ts";
import { NoAnswer, pause, withDeadline } from "./deadline.ts";
import { EventError, formatFactJson, parseFactJson } from "./event-json.ts";
import type { LogKeys } from "./keys.ts";
import type { RedisOptions } from "./options.ts";
import { RedisError, redisError } from "./redis-error.ts";
import {
  type FleetState,
  type Lease,
  type Page,
  parseAppended,
  parseFleet,
  parseLeases,
  parsePage,
  type RawEntry,
} from "./replies.ts";
import { APPEND, FLEET, LEASES, READ, type Script } from "./scripts.ts";
import type { Subscription } from "./subscription.ts";

/** Entries per reply: small enough for one to be read and parsed in a few milliseconds. */
const PAGE_SIZE = 500;
/** A log that starts over this often during one read is not worth following further. */
const MAX_RESTARTS = 3;
/** Entries outlive their facts by this much, whatever the clocks of replicas and server say. */
const TRIM_SLACK_MS = 600_000;
/** A reader that was silent for so long has ended, and is no longer named among those who did not confirm. */
const LEASE_KEPT_MS = 600_000;
/** Replicas that are pushed to confirm within a few milliseconds; the others do at their next poll. */
const FLEET_INTERVALS_MS = { first: 1, last: 10 };
const MAX_UNANSWERED = 2;
/** For rounding: the server counts whole milliseconds. */
const LEASE_SLACK_MS = 2;
/** Between a reader's name and the random end that tells processes of one name apart. */
const INCARNATION = /#[0-9a-f]{8}$/;

/** The log in Redis. Every operation is one script, which runs atomically on the one server that holds the log. */
export class RedisRevocationLog implements RevocationLog, Fleet {
  readonly shared = true;
  readonly #options: RedisOptions;
  readonly #client: Client;
  readonly #subscription: Subscription;
  readonly #keys: LogKeys;
  readonly #channel: string;
  readonly #reader: string;
  #closed = false;
  #unansweredInARow = 0;

  constructor(options: RedisOptions, client: Client, subscription: Subscription, keys: LogKeys, channel: string) {
    this.#options = options;
    this.#client = client;
    this.#subscription = subscription;
    this.#keys = keys;
    this.#channel = channel;
    this.#reader = `${options.replica}#${randomBytes(4).toString("hex")}`;
  }

  /** @throws RedisError when it may not be in the log (it may be, if time ran out), GatewayError CANCELED */
  async append(fact: RevocationFact, signal: AbortSignal): Promise<Cursor> {
    const { retentionMs, onEvent } = this.#options;
    const values = [formatFactJson(fact), this.#channel, retentionMs + TRIM_SLACK_MS];
    const { cursor, published } = parseAppended(await this.#run("append", APPEND, values, signal));
    if (!published) {
      onEvent({ kind: "error", error: new RedisError(`the user may not publish on ${this.#channel}`) });
    }
    return cursor;
  }

  /**
   * Each page answers within the command timeout.
   * @throws RedisError, GatewayError CANCELED
   */
  async read(after: Cursor | undefined, signal: AbortSignal): Promise<LogRead> {
    let restarts = after === undefined ? 0 : -1;
    let entries: RawEntry[] = [];
    let from = after;
    for (;;) {
      const page = await this.#readPage(after, from, signal);
      if (page.restarted) {
        restarts += 1;
        if (restarts > MAX_RESTARTS) throw new RedisError("read: the log keeps starting over");
        entries = [];
      }
      for (const entry of page.entries) entries.push(entry);
      from = entries.at(-1)?.cursor;
      if (page.entries.length < PAGE_SIZE || from === undefined) {
        const { head, epochAgeMs } = page;
        const read = { entries: this.#parseEntries(entries), head, restarted: restarts >= 0, epochAgeMs };
        this.#subscription.expect(read);
        return read;
      }
    }
  }

  subscribe(onEntry: (entry: LogEntry) => void): () => void {
    return this.#subscription.listen(onEntry);
  }

  /** @throws RedisError, GatewayError CANCELED */
  async awaitFleet(cursor: Cursor, signal: AbortSignal): Promise<readonly string[]> {
    for (let delayMs = FLEET_INTERVALS_MS.first; ; delayMs = Math.min(2 * delayMs, FLEET_INTERVALS_MS.last)) {
      const state = await this.#readFleet(cursor, signal);
      if (!state.incomplete && state.outstanding.length === 0) return namesOf(state);
      await pause(delayMs, this.#options.clock, signal);
    }
  }

  /** @throws RedisError, GatewayError CANCELED */
  async replicas(signal: AbortSignal): Promise<readonly ReplicaContact[]> {
    const leases = parseLeases(await this.#run("list the replicas", LEASES, [], signal));
    return contactsOf(leases, this.#options.boundMs);
  }

  /** Withdraws the lease, so that nobody waits for this replica. It must not use cached verdicts any more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { commandTimeoutMs, clock } = this.#options;
    try {
      await withDeadline(this.#client.hdel(this.#keys.replicas, this.#reader), commandTimeoutMs, clock);
    } catch {
      // The lease runs out by itself.
    }
  }

  async #readPage(applied: Cursor | undefined, from: Cursor | undefined, signal: AbortSignal): Promise<Page> {
    const values = [this.#reader, ...placeOf(applied), ...placeOf(from), PAGE_SIZE, LEASE_KEPT_MS];
    return parsePage(await this.#run("read", READ, values, signal));
  }

  async #readFleet({ epoch, major, minor }: Cursor, signal: AbortSignal): Promise<FleetState> {
    const values = [epoch, `${major}-${minor}`, this.#options.boundMs + LEASE_SLACK_MS, LEASE_KEPT_MS];
    return parseFleet(await this.#run("ask the fleet", FLEET, values, signal));
  }

  /** An entry that cannot be understood holds up nobody: it is reported and skipped. */
  #parseEntries(raw: readonly RawEntry[]): LogEntry[] {
    const entries: LogEntry[] = [];
    for (const { cursor, json } of raw) {
      try {
        if (json === undefined) throw new EventError("it has other fields than ours");
        entries.push({ cursor, fact: parseFactJson(json) });
      } catch (error) {
        const problem = redisError(`entry ${cursor.major}-${cursor.minor} of the log is skipped`, error);
        this.#options.onEvent({ kind: "error", error: problem });
      }
    }
    return entries;
  }

  async #run(what: string, script: Script, values: readonly (string | number)[], signal: AbortSignal) {
    if (signal.aborted) throw canceled();
    if (this.#closed) throw new RedisError(`${what}: the log is closed`);
    const { commandTimeoutMs, clock } = this.#options;
    const { meta, stream, replicas } = this.#keys;
    const keys = [meta, stream, replicas];
    const work = async () => {
      await waitUntilReady(this.#client, commandTimeoutMs, clock, signal);
      return await runScript(this.#client, script, keys, [randomBytes(8).toString("hex"), ...values]);
    };
    try {
      const reply = await withDeadline(work(), commandTimeoutMs, clock, signal);
      this.#unansweredInARow = 0;
      return reply;
    } catch (error) {
      if (signal.aborted) throw canceled();
      if (error instanceof NoAnswer) this.#noteUnanswered();
      throw redisError(what, error);
    }
  }

  /**
   * A connection that stays open and gives no answer in time, twice in a row, is replaced. Each command that is written keeps
   * the socket from timing out, and answers that a reconnection has put out of step with their questions stay so.
   */
  #noteUnanswered(): void {
    this.#unansweredInARow += 1;
    if (this.#unansweredInARow < MAX_UNANSWERED || this.#client.status !== "ready") return;
    this.#unansweredInARow = 0;
    this.#client.disconnect(true);
  }
}

function placeOf(cursor: Cursor | undefined): [string, string] {
  return cursor === undefined ? ["", "0-0"] : [cursor.epoch, `${cursor.major}-${cursor.minor}`];
}

/**
 * Those who did not confirm, without processes that another of the same name has succeeded: once it follows the log, the
 * name stands for it.
 */
function namesOf({ confirmed, suspended }: FleetState): string[] {
  const alive = new Set(confirmed.map((reader) => reader.replace(INCARNATION, "")));
  const names = new Set(suspended.map((reader) => reader.replace(INCARNATION, "")));
  return [...names].filter((name) => !alive.has(name)).sort();
}

/** One for each process, but without those that have ended and that another of the same name has succeeded. */
function contactsOf(leases: readonly Lease[], boundMs: number): ReplicaContact[] {
  const nameOf = ({ reader }: Lease) => reader.replace(INCARNATION, "");
  const alive = new Set(leases.filter(({ ageMs }) => ageMs <= boundMs).map(nameOf));
  return leases
    .filter((lease) => lease.ageMs <= boundMs || !alive.has(nameOf(lease)))
    .map((lease) => ({ name: nameOf(lease), applied: lease.applied, silenceMs: Math.max(0, lease.ageMs) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
