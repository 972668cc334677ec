import { HpackError } from "./hpack-error.ts";
import { latin1Text } from "./hpack-text.ts";
import { huffmanOctets, huffmanText } from "./huffman.ts";

/** With a prefix of seven bits that reaches 2^28 + 126: far beyond any index, length or size that can be meant. */
const MAX_CONTINUATION_BITS = 28;
const HUFFMAN_FLAG = 0x80;

/** A position in a header block and the primitive types of RFC 7541, 5. It keeps no block, lest an idle connection hold one. */
export class HpackCursor {
  position = 0;
  #end = 0;

  /** Sets out to read `[start, end)` of the blocks handed in from now on. */
  reset(start: number, end: number): void {
    this.position = start;
    this.#end = end;
  }

  /** Moves to the next octet that is not from `low` to `high`. */
  skip(block: Uint8Array, low: number, high: number): void {
    while (this.position < this.#end) {
      const octet = block[this.position] ?? 0;
      if (octet < low || octet > high) return;
      this.position += 1;
    }
  }

  get atEnd(): boolean {
    return this.position >= this.#end;
  }

  /** Reads an integer whose first octet has it in its last `prefixBits` bits. @throws HpackError cut off, or too long. */
  integer(block: Uint8Array, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    const prefix = this.#octet(block) & mask;
    return prefix < mask ? prefix : this.#continuedInteger(block, mask);
  }

  /** Reads over a string literal, checking it. @returns how many octets its text has. @throws HpackError */
  skipString(block: Uint8Array): number {
    const isHuffman = ((block[this.position] ?? 0) & HUFFMAN_FLAG) !== 0;
    const length = this.integer(block, 7);
    const start = this.position;
    if (length > this.#end - start) throw new HpackError("a string is cut off");
    this.position = start + length;
    return isHuffman ? huffmanOctets(block, start, start + length) : length;
  }

  /** The text of a string literal that was read over: it began at `at` and has so many octets. */
  textAt(block: Uint8Array, at: number, octets: number): string {
    const { position } = this;
    this.position = at;
    const length = this.integer(block, 7);
    const start = this.position;
    this.position = position;
    const isHuffman = ((block[at] ?? 0) & HUFFMAN_FLAG) !== 0;
    return isHuffman ? huffmanText(block, start, start + length, octets) : latin1Text(block, start, start + length);
  }

  #continuedInteger(block: Uint8Array, mask: number): number {
    let value = mask;
    for (let shift = 0; shift < MAX_CONTINUATION_BITS; shift += 7) {
      const octet = this.#octet(block);
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw new HpackError("an integer is too long");
  }

  #octet(block: Uint8Array): number {
    const octet = this.atEnd ? undefined : block[this.position];
    if (octet === undefined) throw new HpackError("a field is cut off");
    this.position++;
    return octet;
  }
}
