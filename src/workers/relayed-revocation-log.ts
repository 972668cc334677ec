import type { Cursor } from "../token/cursor.ts";
import { canceled } from "../token/errors.ts";
import type { Clock, LogEntry, LogRead, RevocationFact, RevocationLog } from "../token/ports.ts";
import type { Channel } from "./channel.ts";
import { formatRequest, type LogAnswer, type LogPush, type LogRequest, parseAnswer } from "./log-messages.ts";

export interface RelayedRevocationLogOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  /** How long the other process may take to answer a read. Its own failures come sooner. */
  readonly readTimeoutMs: number;
  /** The other process sent what is no answer. */
  readonly onError: (error: unknown) => void;
}

/** The other process could not do what it was asked, or does not answer. */
class RelayError extends Error {
  override readonly name = "RelayError";
}

const LEAVE_TIMEOUT_MS = 1_000;

type Question = LogRequest extends infer R ? (R extends LogRequest ? Omit<R, "id"> : never) : never;

interface Pending {
  readonly resolve: (answer: LogAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** The log as another process of this host follows it: a `RevocationLogRelay` at the other end of the channel. */
export class RelayedRevocationLog implements RevocationLog {
  readonly shared = true;
  readonly #options: RelayedRevocationLogOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #subscribers = new Set<(entry: LogEntry) => void>();
  readonly #stop: () => void;
  #lastId = 0;
  #closed = false;

  constructor(options: RelayedRevocationLogOptions) {
    this.#options = options;
    this.#stop = options.channel.listen((message) => this.#receive(message));
  }

  /** @throws RelayError, GatewayError CANCELED */
  async append(fact: RevocationFact, signal: AbortSignal): Promise<Cursor> {
    const answer = await this.#ask({ kind: "append", fact }, signal);
    if (answer.kind !== "appended") throw unexpected();
    return answer.cursor;
  }

  /** @throws RelayError, GatewayError CANCELED */
  async read(after: Cursor | undefined, signal: AbortSignal): Promise<LogRead> {
    const answer = await this.#ask({ kind: "read", after }, signal, this.#options.readTimeoutMs);
    if (answer.kind !== "read_to_end") throw unexpected();
    return answer.read;
  }

  subscribe(onEntry: (entry: LogEntry) => void): () => void {
    const subscriber = (entry: LogEntry) => onEntry(entry);
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** @throws RelayError, GatewayError CANCELED */
  async awaitFleet(cursor: Cursor, signal: AbortSignal): Promise<readonly string[]> {
    const answer = await this.#ask({ kind: "await_fleet", cursor }, signal);
    if (answer.kind !== "fleet") throw unexpected();
    return answer.unconfirmed;
  }

  /** Nobody waits for this worker any more. It must not use cached verdicts from now on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#subscribers.clear();
    try {
      await this.#ask({ kind: "leave" }, new AbortController().signal, LEAVE_TIMEOUT_MS);
    } catch {
      // The end of this process says the same.
    }
    this.#closed = true;
    this.#stop();
  }

  #ask(question: Question, signal: AbortSignal, timeoutMs?: number): Promise<LogAnswer> {
    const { channel, clock } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(canceled());
      if (this.#closed) return reject(new RelayError(`${question.kind}: the log is closed`));
      this.#lastId += 1;
      const id = this.#lastId;
      const giveUp = (error: Error) => {
        channel.send(formatRequest({ kind: "cancel", id }));
        this.#pending.get(id)?.reject(error);
      };
      const abort = () => giveUp(canceled());
      const expire = () => giveUp(new RelayError(`${question.kind}: no answer within ${timeoutMs} ms`));
      const cancelTimer = timeoutMs === undefined ? () => {} : clock.after(timeoutMs, expire);
      const settle = (action: () => void) => {
        this.#pending.delete(id);
        cancelTimer();
        signal.removeEventListener("abort", abort);
        action();
      };
      this.#pending.set(id, {
        resolve: (answer) => settle(() => resolve(answer)),
        reject: (error) => settle(() => reject(error)),
      });
      signal.addEventListener("abort", abort, { once: true });
      try {
        channel.send(formatRequest({ ...question, id }));
      } catch (error) {
        // A fact that no reader could understand.
        this.#pending.get(id)?.reject(error);
      }
    });
  }

  #receive(message: unknown): void {
    let answer: LogAnswer | LogPush | undefined;
    try {
      answer = parseAnswer(message);
    } catch (error) {
      this.#options.onError(error);
      return;
    }
    if (answer === undefined) return;
    if (answer.kind === "entry") {
      for (const subscriber of [...this.#subscribers]) subscriber(answer.entry);
      return;
    }
    const pending = this.#pending.get(answer.id);
    if (answer.kind === "failed") pending?.reject(new RelayError(answer.message));
    else pending?.resolve(answer);
  }
}

function unexpected(): RelayError {
  return new RelayError("the other process answered something that is not an answer to the question");
}
