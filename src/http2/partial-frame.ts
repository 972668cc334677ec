import { FRAME_HEADER_BYTES, MAX_FRAME_BYTES } from "./frame.ts";
import type { SlabPool } from "./slab-pool.ts";

/** The largest frame there is, with its header. */
export const FRAME_SLAB_BYTES = FRAME_HEADER_BYTES + MAX_FRAME_BYTES;

/** A frame of which more is kept than this lies in a slab of its own. */
const SMALL_BYTES = 2048;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * The beginning of a frame whose end has not come. A large one lies in a slab that others use after it: a client whose frames
 * never come whole, as those of megabytes do not, would have memory made for each, and the garbage collected for all.
 */
export class PartialFrame {
  readonly #slabs: SlabPool;
  /** Its first `length` bytes, and anything else behind them. */
  bytes = NOTHING;
  length = 0;

  constructor(slabs: SlabPool) {
    this.#slabs = slabs;
  }

  /** Adds `bytes[start, end)`, until there are `upTo` bytes. Returns where it stopped. */
  add(bytes: Buffer, start: number, end: number, upTo: number): number {
    const to = Math.min(end, start + Math.max(0, upTo - this.length));
    const length = this.length + to - start;
    if (length > this.bytes.length) this.#grow(length, upTo);
    bytes.copy(this.bytes, this.length, start, to);
    this.length = length;
    return to;
  }

  /** Forgets it, which was looked at whole. */
  drop(): void {
    if (this.bytes.length === FRAME_SLAB_BYTES) this.#slabs.give(this.bytes);
    this.bytes = NOTHING;
    this.length = 0;
  }

  /** Twice as much each time, lest a frame that comes byte by byte be copied for every byte. */
  #grow(length: number, upTo: number): void {
    const isSmall = length <= SMALL_BYTES;
    const wanted = Math.max(length, Math.min(upTo, 2 * this.bytes.length));
    const larger = isSmall ? Buffer.allocUnsafeSlow(wanted) : this.#slabs.take(FRAME_SLAB_BYTES);
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}
