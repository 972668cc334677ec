import { Turns } from "../http2/turns.ts";

/** Calls of one connection that may wait before no more are read from it. */
const MAX_BEHIND = 4;

/** A call that has come. */
export interface QueuedCall {
  /** Whether its caller has left. */
  readonly isGone: boolean;
  /** Begins it. Must not throw. */
  begin(): void;
  /** It was left before it began. Must not throw. */
  drop(): void;
}

/** Calls dropped in one turn: each costs a few microseconds. */
const MAX_DROPPED = 50;

/**
 * Calls that have come and not begun. One begins in each round of the event loop, so that what is answered at once waits
 * for one of them and not for all; and connections take turns, so that a call waits for one of each other connection and
 * not for all that those have sent. A call whose caller has left costs next to nothing.
 */
export class CallQueue {
  readonly #turns = new Turns();
  readonly #byConnection = new Map<object, QueuedCall[]>();
  #onEmpty: (() => void)[] = [];

  /** @param connection the same object for all calls of one */
  add(connection: object, call: QueuedCall): void {
    const calls = this.#byConnection.get(connection);
    if (calls !== undefined) {
      calls.push(call);
      return;
    }
    this.#byConnection.set(connection, [call]);
    this.#await(connection);
  }

  /** Whether so many calls of a connection wait that it should not send more. */
  isBehind(connection: object): boolean {
    return (this.#byConnection.get(connection)?.length ?? 0) >= MAX_BEHIND;
  }

  /** Resolves once no call waits. */
  async emptied(): Promise<void> {
    if (this.#byConnection.size === 0) return;
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  #await(connection: object): void {
    this.#turns.wait(() => this.#takeTurn(connection));
  }

  #takeTurn(connection: object): void {
    const calls = this.#byConnection.get(connection) ?? [];
    this.#beginOne(calls);
    if (calls.length > 0) {
      this.#await(connection);
      return;
    }
    this.#byConnection.delete(connection);
    if (this.#byConnection.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  #beginOne(calls: QueuedCall[]): void {
    for (let dropped = 0; dropped < MAX_DROPPED; dropped++) {
      const call = calls.shift();
      if (call === undefined) return;
      if (!call.isGone) {
        call.begin();
        return;
      }
      call.drop();
    }
  }
}
