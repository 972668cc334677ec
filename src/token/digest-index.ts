import type { TokenDigest } from "./token.ts";

/** Of a digest, in words of four bytes. */
const DIGEST_WORDS = 8;

/** The lower bits of an entry are a slot, plus one. */
const SLOT_BITS = 23;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
/** The upper ones are those of the digest's second word, so that hardly ever a record is read that is another's. */
const TAG_MASK = ~SLOT_MASK;

/** How many slots an entry can tell apart. */
export const MAX_SLOTS = SLOT_MASK - 1;

/**
 * Which record is a digest's: open addressing, at most half full. The digests themselves lie in the records, at the beginning of
 * each, so that a look-up reads one place here and one there.
 */
export class DigestIndex {
  readonly #entries: Int32Array;
  readonly #mask: number;
  readonly #records: Uint32Array;
  readonly #recordWords: number;

  /** @param recordWords how long a record is; its first eight words are for its digest */
  constructor(maxEntries: number, records: Uint32Array, recordWords: number) {
    this.#entries = new Int32Array(2 ** Math.ceil(Math.log2(2 * maxEntries + 2)));
    this.#mask = this.#entries.length - 1;
    this.#records = records;
    this.#recordWords = recordWords;
  }

  /** The record of a digest; -1 when it has none. */
  find(digest: TokenDigest): number {
    return (this.#entryAt(this.#placeOf(digest)) & SLOT_MASK) - 1;
  }

  /** Makes a record that of a digest which has none. */
  add(digest: TokenDigest, slot: number): void {
    const at = slot * this.#recordWords;
    for (let word = 0; word < DIGEST_WORDS; word += 1) this.#records[at + word] = wordOf(digest, word);
    this.#entries[this.#placeOf(digest)] = (wordOf(digest, 1) & TAG_MASK) | (slot + 1);
  }

  /** Those behind it move up, as far as they were displaced, so that nobody looks for them in vain. */
  remove(slot: number): void {
    let hole = this.#homeOf(slot);
    while ((this.#entryAt(hole) & SLOT_MASK) !== slot + 1) hole = (hole + 1) & this.#mask;
    let place = (hole + 1) & this.#mask;
    for (let moved = this.#entryAt(place); moved !== 0; moved = this.#entryAt(place)) {
      const home = this.#homeOf((moved & SLOT_MASK) - 1);
      if (((place - home) & this.#mask) >= ((place - hole) & this.#mask)) {
        this.#entries[hole] = moved;
        hole = place;
      }
      place = (place + 1) & this.#mask;
    }
    this.#entries[hole] = 0;
  }

  clear(): void {
    this.#entries.fill(0);
  }

  /** Where the digest's entry is, or would be. */
  #placeOf(digest: TokenDigest): number {
    const tag = wordOf(digest, 1) & TAG_MASK;
    let place = wordOf(digest, 0) & this.#mask;
    for (;;) {
      const entry = this.#entryAt(place);
      if (entry === 0) return place;
      if ((entry & TAG_MASK) === tag && this.#matches((entry & SLOT_MASK) - 1, digest)) return place;
      place = (place + 1) & this.#mask;
    }
  }

  #matches(slot: number, digest: TokenDigest): boolean {
    const at = slot * this.#recordWords;
    for (let word = 0; word < DIGEST_WORDS; word += 1) {
      if (this.#records[at + word] !== wordOf(digest, word)) return false;
    }
    return true;
  }

  /** 0 for none. */
  #entryAt(place: number): number {
    return this.#entries[place] ?? 0;
  }

  #homeOf(slot: number): number {
    return (this.#records[slot * this.#recordWords] ?? 0) & this.#mask;
  }
}

/** Four of the characters of a digest, each of which is a byte. */
function wordOf(digest: TokenDigest, word: number): number {
  const at = word * 4;
  const low = digest.charCodeAt(at) | (digest.charCodeAt(at + 1) << 8);
  return (low | (digest.charCodeAt(at + 2) << 16) | (digest.charCodeAt(at + 3) << 24)) >>> 0;
}
