import type { SlabPool } from "./slab-pool.ts";

/**
 * Input of one connection that waits for its turn, in a buffer that others use after it: a client that sends without a pause
 * would have a new one made for every read, and the garbage collected for all.
 */
export class HeldInput {
  readonly #pool: SlabPool;
  #buffer: Buffer | undefined;
  #from = 0;
  #to = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** A copy of `bytes[from, to)`, in place of what was held. */
  hold(bytes: Buffer, from: number, to: number): void {
    this.drop();
    this.#buffer = this.#pool.take(to - from);
    this.#to = bytes.copy(this.#buffer, 0, from, to);
  }

  /** The next of it, at most so many bytes. Valid until they are skipped. */
  next(maxBytes: number): Buffer | undefined {
    return this.#buffer?.subarray(this.#from, Math.min(this.#to, this.#from + maxBytes));
  }

  skip(bytes: number): void {
    this.#from += bytes;
    if (this.#from >= this.#to) this.drop();
  }

  drop(): void {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    this.#from = 0;
    this.#to = 0;
    if (buffer !== undefined) this.#pool.give(buffer);
  }
}
