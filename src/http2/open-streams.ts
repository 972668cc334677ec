import type { ServerStream } from "./server-stream.ts";

/**
 * The streams of one connection that are not closed. The newest is kept apart until another follows: a call that is
 * answered at once comes and goes without touching the map, which would be rebuilt after every few of them.
 */
export class OpenStreams {
  readonly #older = new Map<number, ServerStream>();
  #newest: ServerStream | undefined;

  get size(): number {
    return this.#older.size + (this.#newest === undefined ? 0 : 1);
  }

  get(id: number): ServerStream | undefined {
    return this.#newest?.id === id ? this.#newest : this.#older.get(id);
  }

  /** The identifier must be one that was not there before. */
  add(stream: ServerStream): void {
    if (this.#newest !== undefined) this.#older.set(this.#newest.id, this.#newest);
    this.#newest = stream;
  }

  delete(id: number): void {
    if (this.#newest?.id === id) this.#newest = undefined;
    else this.#older.delete(id);
  }

  /** Streams may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<ServerStream, void, undefined> {
    yield* this.#older.values();
    if (this.#newest !== undefined) yield this.#newest;
  }
}
