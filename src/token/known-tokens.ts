import { DigestIndex, MAX_SLOTS } from "./digest-index.ts";
import type { KnownToken } from "./observation.ts";
import { PackedTokens } from "./packed-tokens.ts";
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
// Words 0 to 7 are the digest. These have fractions, and take two words each: they count in pairs.
const UNTIL = 4;
const EXPIRES = 5;
/** When the answer began to stand. */
const GENERATION = 12;
/** What the token was said to take. */
const SIZE = 13;
/** The length of the answer in the upper bits; in the lowest, whether it was looked up since the hand passed. */
const ANSWER_AND_USE = 14;
/** Of a vacant record the next one, plus one. */
const NEXT_VACANT = 15;
const OCCUPIED = 0xffff_ffff;
const HEAD_BYTES = 64;
const MAX_ANSWER_BYTES = RECORD_BYTES - HEAD_BYTES;

/** How far the hand moves before it takes what it is at: no eviction costs more, though all be used. */
const MAX_HAND_STEPS = 64;
/** How many tokens are objects at most, unless it is said otherwise. */
const MAX_OBJECTS = 1_024;

/**
 * Tokens by digest, bounded in number and in bytes. What was not looked up of late goes first: a hand goes round, passes what
 * was used since it was there last, and evicts what was not (the clock algorithm).
 *
 * In place of a map and a list in the order of use because a look-up among a million reads memory that no cache holds, and
 * there costs what it reads: here an index and a record, with the answer in it. See docs/decisions/0024 and 0025.
 */
export class KnownTokens {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #onEvict: () => void;
  readonly #index: DigestIndex;
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;
  /** Told of an answer that stands: one for all, as many are asked for and each is used at once. */
  readonly #kept: KeptAnswer & { from: number; to: number };
  readonly #packed: PackedTokens;
  /** Those that are not packed. */
  #objects: (KnownToken | undefined)[] = [];
  /** The records, plus one, that came by an object last, in a ring. */
  readonly #latest: Int32Array;
  #next = 0;
  /** Records in use, or vacant again. */
  #slots = 0;
  #vacant = 0;
  #hand = 0;
  /** What stands does so in one generation alone. */
  #generation = 1;
  #edition: object | undefined;
  size = 0;
  /** What all of them were said to take. */
  bytes = 0;

  /**
   * Memory is taken as it is needed, whatever the bounds.
   *
   * @param onEvict told of each that makes room for another
   * @param maxObjects how many tokens are objects, at least one; all others are packed, but for those that cannot be
   */
  constructor(maxEntries: number, maxBytes: number, onEvict: () => void, maxObjects = MAX_OBJECTS) {
    this.#maxEntries = Math.min(maxEntries, MAX_SLOTS);
    this.#maxBytes = maxBytes;
    this.#onEvict = onEvict;
    const records = new ArrayBuffer(this.#maxEntries * RECORD_BYTES);
    this.#words = new Uint32Array(records);
    this.#numbers = new Float64Array(records);
    this.#bytes = Buffer.from(records);
    this.#index = new DigestIndex(this.#maxEntries, this.#words, RECORD_WORDS);
    this.#packed = new PackedTokens(this.#maxEntries);
    this.#latest = new Int32Array(maxObjects);
    this.#kept = { verdict: "valid", source: "memory", bytes: this.#bytes, from: 0, to: 0 };
  }

  /** Where a token is until the next `put` or `delete`; -1 when it is not here. */
  find(digest: TokenDigest): number {
    const slot = this.#index.find(digest);
    if (slot >= 0) {
      const at = slot * RECORD_WORDS + ANSWER_AND_USE;
      this.#words[at] = this.#wordAt(at) | 1;
    }
    return slot;
  }

  /** What `find` found. Changes to it count for as long as nothing is awaited. */
  at(slot: number): KnownToken | undefined {
    // An index below zero would have the array looked at as any object is.
    return slot < 0 ? undefined : (this.#objects[slot] ?? this.#unpack(slot));
  }

  /** As `find` and `at`, without counting as use. */
  peek(digest: TokenDigest): KnownToken | undefined {
    return this.at(this.#index.find(digest));
  }

  /** Takes the place of what there was under the digest. What is larger than all may be is not kept. */
  put(digest: TokenDigest, token: KnownToken, bytes: number): void {
    this.delete(digest);
    if (bytes > this.#maxBytes || this.#maxEntries === 0) return;
    while (this.size >= this.#maxEntries || this.bytes + bytes > this.#maxBytes) this.#evict();
    const slot = this.#occupy();
    const at = slot * RECORD_WORDS;
    this.#words[at + GENERATION] = 0;
    this.#words[at + SIZE] = bytes;
    this.#words[at + ANSWER_AND_USE] = 0;
    this.#index.add(digest, slot);
    this.#hold(slot, token);
    this.size += 1;
    this.bytes += bytes;
  }

  delete(digest: TokenDigest): void {
    const slot = this.#index.find(digest);
    if (slot >= 0) this.#vacate(slot);
  }

  clear(): void {
    this.#index.clear();
    this.#objects = [];
    this.#latest.fill(0);
    this.#next = 0;
    this.#slots = 0;
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
    this.#keep(slot, encoded);
    if (this.#wordAt(at + ANSWER_AND_USE) <= 1) return false;
    this.#numbers[slot * RECORD_NUMBERS + UNTIL] = untilMs;
    this.#numbers[slot * RECORD_NUMBERS + EXPIRES] = expiresAtMs;
    this.#words[at + GENERATION] = this.#generation;
    return true;
  }

  /** The answer, if one stands. The object is the same for all. */
  standing(slot: number, edition: object, nowMs: number, wallMs: number): KeptAnswer | undefined {
    this.#use(edition);
    if (this.#words[slot * RECORD_WORDS + GENERATION] !== this.#generation) return undefined;
    const untilMs = this.#numberAt(slot * RECORD_NUMBERS + UNTIL);
    const expiresAtMs = this.#numberAt(slot * RECORD_NUMBERS + EXPIRES);
    if (nowMs >= untilMs || wallMs >= expiresAtMs) return undefined;
    const kept = this.#kept;
    kept.from = slot * RECORD_BYTES + HEAD_BYTES;
    kept.to = kept.from + (this.#wordAt(slot * RECORD_WORDS + ANSWER_AND_USE) >>> 1);
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

  #wordAt(at: number): number {
    return this.#words[at] ?? 0;
  }

  #numberAt(at: number): number {
    return this.#numbers[at] ?? 0;
  }

  #keep(slot: number, encoded: string | undefined): void {
    if (encoded === undefined || encoded.length > MAX_ANSWER_BYTES) return;
    this.#bytes.write(encoded, slot * RECORD_BYTES + HEAD_BYTES, "latin1");
    const at = slot * RECORD_WORDS + ANSWER_AND_USE;
    this.#words[at] = (encoded.length << 1) | (this.#wordAt(at) & 1);
  }

  #use(edition: object): void {
    if (edition === this.#edition) return;
    this.#edition = edition;
    this.liftAll();
  }

  #occupy(): number {
    const slot = this.#vacant > 0 ? this.#vacant - 1 : this.#slots;
    const at = slot * RECORD_WORDS + NEXT_VACANT;
    if (this.#vacant > 0) this.#vacant = this.#wordAt(at);
    else this.#slots += 1;
    this.#words[at] = OCCUPIED;
    this.#packed.drop(slot);
    return slot;
  }

  #vacate(slot: number): void {
    const at = slot * RECORD_WORDS;
    this.#index.remove(slot);
    this.#objects[slot] = undefined;
    this.#words[at + NEXT_VACANT] = this.#vacant;
    this.#vacant = slot + 1;
    this.size -= 1;
    this.bytes -= this.#wordAt(at + SIZE);
  }

  #unpack(slot: number): KnownToken | undefined {
    const token = this.#packed.unpack(slot);
    if (token !== undefined) this.#hold(slot, token);
    return token;
  }

  /** Has a token as an object, and packs the one that has been one for longest. */
  #hold(slot: number, token: KnownToken): void {
    this.#objects[slot] = token;
    const longest = (this.#latest[this.#next] ?? 0) - 1;
    this.#latest[this.#next] = slot + 1;
    this.#next = this.#next + 1 < this.#latest.length ? this.#next + 1 : 0;
    if (longest >= 0 && longest !== slot) this.#pack(longest);
  }

  #pack(slot: number): void {
    const token = this.#objects[slot];
    if (token === undefined || !this.#packed.pack(slot, token)) return;
    this.#keep(slot, token.valid?.encoded);
    this.#objects[slot] = undefined;
  }

  #evict(): void {
    for (let steps = 0; ; this.#hand += 1) {
      if (this.#hand >= this.#slots) this.#hand = 0;
      if (this.#words[this.#hand * RECORD_WORDS + NEXT_VACANT] !== OCCUPIED) continue;
      const at = this.#hand * RECORD_WORDS + ANSWER_AND_USE;
      const word = this.#wordAt(at);
      steps += 1;
      if ((word & 1) === 0 || steps > MAX_HAND_STEPS) break;
      this.#words[at] = word & ~1;
    }
    this.#vacate(this.#hand);
    this.#onEvict();
  }
}
