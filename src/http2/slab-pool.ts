/** Slabs that are kept for reuse. */
const MAX_SPARE_SLABS = 64;

/** Buffers of one size that are used again and again, each by one at a time. */
export class SlabPool {
  readonly #slabBytes: number;
  readonly #spare: Buffer[] = [];

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
  }

  /** A buffer for so many bytes, of the size of all others if that suffices. It holds what was in it last. */
  take(bytes: number): Buffer {
    if (bytes > this.#slabBytes) return Buffer.allocUnsafeSlow(bytes);
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#slabBytes);
  }

  give(slab: Buffer): void {
    if (slab.length === this.#slabBytes && this.#spare.length < MAX_SPARE_SLABS) this.#spare.push(slab);
  }
}
