import type { Cursor } from "../../../src/token/cursor.ts";
import type { LogEntry, LogRead, RevocationFact, RevocationLog } from "../../../src/token/ports.ts";

/** A replica's way to the log, which can be cut: nothing passes then, and nobody else is disturbed. */
export class PartitionedLog implements RevocationLog {
  readonly #log: RevocationLog;
  cut = false;

  constructor(log: RevocationLog) {
    this.#log = log;
  }

  get shared(): boolean {
    return this.#log.shared;
  }

  append(fact: RevocationFact, signal: AbortSignal): Promise<Cursor> {
    return this.#pass(() => this.#log.append(fact, signal));
  }

  read(after: Cursor | undefined, signal: AbortSignal): Promise<LogRead> {
    return this.#pass(() => this.#log.read(after, signal));
  }

  subscribe(onEntry: (entry: LogEntry) => void): () => void {
    return this.#log.subscribe((entry) => {
      if (!this.cut) onEntry(entry);
    });
  }

  awaitFleet(cursor: Cursor, signal: AbortSignal): Promise<readonly string[]> {
    return this.#pass(() => this.#log.awaitFleet(cursor, signal));
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  async #pass<T>(call: () => Promise<T>): Promise<T> {
    if (this.cut) throw new Error("the way to the log is cut");
    return await call();
  }
}
