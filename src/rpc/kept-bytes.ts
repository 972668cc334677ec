const NONE = Buffer.alloc(0);
/** A buffer larger than this is not kept for what may come. */
const MAX_IDLE_BYTES = 4096;

/** Bytes that wait, in their order. */
export class KeptBytes {
  /** They are in `buffer[from, to)`. Valid until the next `add`. */
  buffer: Buffer = NONE;
  from = 0;
  to = 0;

  get length(): number {
    return this.to - this.from;
  }

  add(bytes: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    bytes.copy(this.buffer, this.to, start, end);
    this.to += end - start;
  }

  /** Forgets the first `count`; their place stays as it is until the next `add`. */
  skip(count: number): void {
    this.from += count;
    if (this.from < this.to) return;
    this.from = 0;
    this.to = 0;
    if (this.buffer.length > MAX_IDLE_BYTES) this.buffer = NONE;
  }

  #reserve(more: number): void {
    if (this.to + more <= this.buffer.length) return;
    const { buffer, from, to, length } = this;
    // Twice as much each time, and no move of more than was skipped, lest what comes byte by byte be copied for each.
    const isSpacious = length + more <= buffer.length && from >= length;
    if (!isSpacious) this.buffer = Buffer.allocUnsafe(Math.max(length + more, 2 * length));
    buffer.copy(this.buffer, 0, from, to);
    this.from = 0;
    this.to = length;
  }
}
