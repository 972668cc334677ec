import type { KnownToken } from "./observation.ts";
import type { TokenDigest } from "./token.ts";
import type { KeptAnswer } from "./verification.ts";

/** For how long an answer stands. */
export interface Term {
  /** On the monotonic clock. */
  readonly untilMs: number;
  /** On the wall clock; Infinity for never. */
  readonly expiresAtMs: number;
}

/** A record is 512 bytes: a line of the processor's cache that a look-up reads, and the answer right behind it. */
const RECORD_WORDS = 128;
const RECORD_NUMBERS = RECORD_WORDS / 2;
const RECORD_BYTES = RECORD_WORDS * 4;
/** Words 0 to 7 are the digest. */
const DIGEST_WORDS = 8;
/** These have fractions, and take two words each: they count in pairs. */
const UNTIL = 4;
const EXPIRES = 5;
/** When the answer began to stand. */
const GENERATION = 12;
/** What the token was said to take. */
const SIZE = 13;
/** The length of the answer in the upper bits; in the lowest, whether it was looked up since the hand passed. */
const ANSWER_AND_USE = 14;
/** The next vacant record, plus one. */
const NEXT_VACANT = 15;
const HEAD_BYTES = 64;
const MAX_ANSWER_BYTES = RECORD_BYTES - HEAD_BYTES;

/** How far the hand moves before it takes what it is at: no eviction costs more, though all be used. */
const MAX_HAND_STEPS = 64;

/**
 * Tokens by digest, bounded in number and in bytes. What was not looked up of late goes first: a hand goes round, passes what
 * was used since it was there last, and evicts what was not (the clock algorithm).
 *
 * In place of a map and a list in the order of use because a look-up among a million reads memory that no cache holds, and
 * there costs what it reads: here an index and a record, with the answer in it. See docs/decisions/0024.
 */
export class KnownTokens {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #onEvict: () => void;
  /** The record of a digest, plus one, at its first word or after; 0 for none. At most half full. */
  readonly #index: Int32Array;
  readonly #mask: number;
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;
  /** Told of an answer that stands: one for all, as many are asked for and each is used at once. */
  readonly #kept: KeptAnswer & { from: number; to: number };
  #tokens: (KnownToken | undefined)[] = [];
  #vacant = 0;
  #hand = 0;
  /** What stands does so in one generation alone. */
  #generation = 1;
  #edition: object | undefined;
  size = 0;
  /** What all of them were said to take. */
  bytes = 0;

  /** Memory is taken as it is needed, whatever the bounds. @param onEvict told of each that makes room for another */
  constructor(maxEntries: number, maxBytes: number, onEvict: () => void) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#onEvict = onEvict;
    this.#index = new Int32Array(2 ** Math.ceil(Math.log2(2 * maxEntries + 2)));
    this.#mask = this.#index.length - 1;
    const records = new ArrayBuffer(maxEntries * RECORD_BYTES);
    this.#words = new Uint32Array(records);
    this.#numbers = new Float64Array(records);
    this.#bytes = Buffer.from(records);
    this.#kept = { verdict: "valid", source: "memory", bytes: this.#bytes, from: 0, to: 0 };
  }

  /** Where a token is until the next `put` or `delete`; -1 when it is not here. */
  find(digest: TokenDigest): number {
    const slot = (this.#index[this.#place(digest)] ?? 0) - 1;
    if (slot >= 0) {
      const at = slot * RECORD_WORDS + ANSWER_AND_USE;
      this.#words[at] = (this.#words[at] ?? 0) | 1;
    }
    return slot;
  }

  /** What `find` found. */
  at(slot: number): KnownToken | undefined {
    // An index below zero would have the array looked at as any object is.
    return slot < 0 ? undefined : this.#tokens[slot];
  }

  /** As `find` and `at`, without counting as use. */
  peek(digest: TokenDigest): KnownToken | undefined {
    return this.at((this.#index[this.#place(digest)] ?? 0) - 1);
  }

  /** Takes the place of what there was under the digest. What is larger than all may be is not kept. */
  put(digest: TokenDigest, token: KnownToken, bytes: number): void {
    this.delete(digest);
    if (bytes > this.#maxBytes || this.#maxEntries === 0) return;
    while (this.size >= this.#maxEntries || this.bytes + bytes > this.#maxBytes) this.#evict();
    const slot = this.#occupy(token);
    const at = slot * RECORD_WORDS;
    for (let word = 0; word < DIGEST_WORDS; word += 1) this.#words[at + word] = wordOf(digest, word);
    this.#words[at + GENERATION] = 0;
    this.#words[at + SIZE] = bytes;
    this.#words[at + ANSWER_AND_USE] = 0;
    this.#index[this.#place(digest)] = slot + 1;
    this.size += 1;
    this.bytes += bytes;
  }

  delete(digest: TokenDigest): void {
    const slot = (this.#index[this.#place(digest)] ?? 0) - 1;
    if (slot >= 0) this.#vacate(slot);
  }

  clear(): void {
    this.#index.fill(0);
    this.#tokens = [];
    this.#vacant = 0;
    this.#hand = 0;
    this.size = 0;
    this.bytes = 0;
  }

  /**
   * Has the answer for a token's VALID stand for as long as `edition` is what it was decided by, and until all are lifted.
   *
   * @param encoded the answer, where there is none yet for what is known of the token: its bytes as Latin-1
   * @returns whether there is an answer now: none longer than 448 bytes is kept
   */
  stand(slot: number, edition: object, encoded: string | undefined, { untilMs, expiresAtMs }: Term): boolean {
    this.#use(edition);
    const at = slot * RECORD_WORDS;
    if (encoded !== undefined && encoded.length <= MAX_ANSWER_BYTES) {
      this.#bytes.write(encoded, slot * RECORD_BYTES + HEAD_BYTES, "latin1");
      this.#words[at + ANSWER_AND_USE] = (encoded.length << 1) | 1;
    }
    if ((this.#words[at + ANSWER_AND_USE] ?? 0) <= 1) return false;
    this.#numbers[slot * RECORD_NUMBERS + UNTIL] = untilMs;
    this.#numbers[slot * RECORD_NUMBERS + EXPIRES] = expiresAtMs;
    this.#words[at + GENERATION] = this.#generation;
    return true;
  }

  /** The answer, if one stands. The object is the same for all. */
  standing(slot: number, edition: object, nowMs: number, wallMs: number): KeptAnswer | undefined {
    this.#use(edition);
    if (this.#words[slot * RECORD_WORDS + GENERATION] !== this.#generation) return undefined;
    const untilMs = this.#numbers[slot * RECORD_NUMBERS + UNTIL] ?? 0;
    const expiresAtMs = this.#numbers[slot * RECORD_NUMBERS + EXPIRES] ?? 0;
    if (nowMs >= untilMs || wallMs >= expiresAtMs) return undefined;
    const kept = this.#kept;
    kept.from = slot * RECORD_BYTES + HEAD_BYTES;
    kept.to = kept.from + ((this.#words[slot * RECORD_WORDS + ANSWER_AND_USE] ?? 0) >>> 1);
    return kept;
  }

  /** From now on no answer stands that did before. */
  liftAll(): void {
    this.#generation += 1;
    // A word holds no more.
    if (this.#generation <= 0xffff_ffff) return;
    this.#generation = 1;
    for (let at = GENERATION; at < this.#words.length; at += RECORD_WORDS) this.#words[at] = 0;
  }

  #use(edition: object): void {
    if (edition === this.#edition) return;
    this.#edition = edition;
    this.liftAll();
  }

  /** Where in the index the digest's record is, or would be. */
  #place(digest: TokenDigest): number {
    const first = wordOf(digest, 0);
    let place = first & this.#mask;
    for (;;) {
      const slot = (this.#index[place] ?? 0) - 1;
      if (slot < 0 || (this.#words[slot * RECORD_WORDS] === first && this.#matches(slot, digest))) return place;
      place = (place + 1) & this.#mask;
    }
  }

  #matches(slot: number, digest: TokenDigest): boolean {
    const at = slot * RECORD_WORDS;
    for (let word = 1; word < DIGEST_WORDS; word += 1) {
      if (this.#words[at + word] !== wordOf(digest, word)) return false;
    }
    return true;
  }

  #occupy(token: KnownToken): number {
    const slot = this.#vacant > 0 ? this.#vacant - 1 : this.#tokens.length;
    if (this.#vacant > 0) this.#vacant = this.#words[slot * RECORD_WORDS + NEXT_VACANT] ?? 0;
    this.#tokens[slot] = token;
    return slot;
  }

  #vacate(slot: number): void {
    const at = slot * RECORD_WORDS;
    this.#unindex(slot);
    this.#tokens[slot] = undefined;
    this.#words[at + NEXT_VACANT] = this.#vacant;
    this.#vacant = slot + 1;
    this.size -= 1;
    this.bytes -= this.#words[at + SIZE] ?? 0;
  }

  /** Those behind it move up, as far as they were displaced, so that nobody looks for them in vain. */
  #unindex(slot: number): void {
    let hole = this.#homeOf(slot);
    while (this.#index[hole] !== slot + 1) hole = (hole + 1) & this.#mask;
    let place = (hole + 1) & this.#mask;
    for (let moved = this.#index[place] ?? 0; moved !== 0; moved = this.#index[place] ?? 0) {
      const home = this.#homeOf(moved - 1);
      if (((place - home) & this.#mask) >= ((place - hole) & this.#mask)) {
        this.#index[hole] = moved;
        hole = place;
      }
      place = (place + 1) & this.#mask;
    }
    this.#index[hole] = 0;
  }

  #homeOf(slot: number): number {
    return (this.#words[slot * RECORD_WORDS] ?? 0) & this.#mask;
  }

  #evict(): void {
    for (let steps = 0; ; this.#hand += 1) {
      if (this.#hand >= this.#tokens.length) this.#hand = 0;
      if (this.#tokens[this.#hand] === undefined) continue;
      const at = this.#hand * RECORD_WORDS + ANSWER_AND_USE;
      const word = this.#words[at] ?? 0;
      steps += 1;
      if ((word & 1) === 0 || steps > MAX_HAND_STEPS) break;
      this.#words[at] = word & ~1;
    }
    this.#vacate(this.#hand);
    this.#onEvict();
  }
}

/** Four of the characters of a digest, each of which is a byte. */
function wordOf(digest: TokenDigest, word: number): number {
  const at = word * 4;
  const low = digest.charCodeAt(at) | (digest.charCodeAt(at + 1) << 8);
  return (low | (digest.charCodeAt(at + 2) << 16) | (digest.charCodeAt(at + 3) << 24)) >>> 0;
}
