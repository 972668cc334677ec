import { type Cursor, compareCursors } from "../token/cursor.ts";
import type { LogEntry, LogRead } from "../token/ports.ts";
import { type Client, closeClient, openClient } from "./connection.ts";
import { parseEventJson } from "./event-json.ts";
import type { RedisOptions } from "./options.ts";
import { redisError } from "./redis-error.ts";

/**
 * The push side of the log: entries as they are published, when they come at all. A subscribed connection that has died
 * in silence looks like one on which nothing happens, so what is read from the log is held against it: an entry that was
 * not pushed within the staleness bound means a new connection.
 */
export class Subscription {
  readonly #options: RedisOptions;
  readonly #channel: string;
  readonly #listeners = new Set<(entry: LogEntry) => void>();
  #client: Client | undefined;
  #pushed: Cursor | undefined;
  #cancelCheck: (() => void) | undefined;
  /** How often a dead connection was replaced. */
  renewals = 0;

  constructor(options: RedisOptions, channel: string) {
    this.#options = options;
    this.#channel = channel;
  }

  open(): void {
    const client = openClient(this.#options, "subscription");
    this.#client = client;
    client.on("message", (_channel: string, text: string) => {
      if (client === this.#client) this.#receive(text);
    });
    // On every connection anew, and by us: what the client library sends by itself is rejected where nobody can catch it
    // when the client is closed before the answer.
    client.on("ready", () => {
      client.subscribe(this.#channel).catch((error: unknown) => {
        if (client === this.#client) this.#report("subscribe", error);
      });
    });
  }

  listen(onEntry: (entry: LogEntry) => void): () => void {
    const listener = (entry: LogEntry) => onEntry(entry);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a read returned must have been pushed, or be pushed soon. What is older than the subscription need not. */
  expect({ entries, restarted }: LogRead): void {
    const last = entries.at(-1)?.cursor;
    if (last === undefined || restarted || this.#client === undefined || this.#cancelCheck !== undefined) return;
    this.#cancelCheck = this.#options.clock.after(this.#options.boundMs, () => {
      this.#cancelCheck = undefined;
      if (!this.#hasPushed(last)) this.#renew();
    });
  }

  async close(): Promise<void> {
    this.#cancelCheck?.();
    this.#listeners.clear();
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await closeClient(client);
  }

  #hasPushed(cursor: Cursor): boolean {
    const pushed = this.#pushed;
    return pushed !== undefined && pushed.epoch === cursor.epoch && compareCursors(cursor, pushed) <= 0;
  }

  #renew(): void {
    if (this.#client === undefined) return;
    this.renewals += 1;
    void closeClient(this.#client);
    this.open();
  }

  #receive(text: string): void {
    let entry: LogEntry;
    try {
      entry = parseEventJson(text);
    } catch (error) {
      this.#report("a message on the channel is skipped", error);
      return;
    }
    this.#pushed = entry.cursor;
    for (const listener of [...this.#listeners]) listener(entry);
  }

  #report(what: string, error: unknown): void {
    this.#options.onEvent({ kind: "error", error: redisError(what, error) });
  }
}
