import type { HeaderField } from "./header-field.ts";
import { HpackCursor } from "./hpack-cursor.ts";
import { HpackDynamicTable } from "./hpack-dynamic-table.ts";
import { HpackError } from "./hpack-error.ts";
import { STATIC_TABLE } from "./hpack-static-table.ts";

/** The capacity that both ends start from (RFC 9113, 6.5.2): a larger one must be announced by a table size update. */
const INITIAL_TABLE_BYTES = 4_096;
const FIELD_OVERHEAD_BYTES = 32;

const INDEXED = 0x80;
const WITH_INDEXING = 0x40;
const SIZE_UPDATE = 0x20;
/** The highest index that takes one octet. */
const MAX_SHORT_INDEX = 126;

/** Decodes the header blocks of one connection, in the order in which they came (RFC 7541). */
export class HpackDecoder {
  readonly #maxTableBytes: number;
  readonly #table: HpackDynamicTable;
  readonly #cursor = new HpackCursor();
  /** What the list being decoded may still count for; below zero once it is too large. */
  #roomBytes = 0;

  /**
   * @param maxTableBytes the SETTINGS_HEADER_TABLE_SIZE that we announce. Below 4,096 the peer must have seen it before its
   *   first block, or its table is larger than ours.
   */
  constructor(maxTableBytes: number) {
    this.#maxTableBytes = maxTableBytes;
    this.#table = new HpackDynamicTable(Math.min(maxTableBytes, INITIAL_TABLE_BYTES));
  }

  /**
   * Increases whenever the dynamic table changes: by insertion, eviction or resize. A block that left it as it was gives
   * the same fields again for as long as it stays the same.
   */
  get version(): number {
    return this.#table.version;
  }

  /**
   * Decodes one whole header block, `block[start, end)`, and appends its fields to `into`. Takes time and memory in
   * proportion to the octets of the block and of the fields that are kept, which never count for more than `maxListBytes`.
   *
   * @param maxListBytes how much the fields may count for: the sum of their sizes.
   * @returns false when they count for more: then some are missing, but later blocks can be decoded.
   * @throws HpackError the connection cannot go on.
   */
  decode(block: Uint8Array, start: number, end: number, into: HeaderField[], maxListBytes: number): boolean {
    const cursor = this.#cursor;
    cursor.reset(start, end);
    this.#roomBytes = maxListBytes;
    this.#sizeUpdates(block);
    while (!cursor.atEnd) {
      const first = block[cursor.position] ?? 0;
      if (first >= INDEXED) {
        const field = this.#entry(cursor.integer(block, 7));
        if (this.#isListed(field.size)) into.push(field);
        else this.#skipIndexed(block);
      } else if (first >= WITH_INDEXING) {
        this.#literal(block, cursor.integer(block, 6), true, into);
      } else if (first >= SIZE_UPDATE) {
        throw new HpackError("a table size update follows a field");
      } else {
        // Fields that are never to be indexed (6.2.3) differ for those who pass them on, and we do not.
        this.#literal(block, cursor.integer(block, 4), false, into);
      }
    }
    return this.#roomBytes >= 0;
  }

  /** An encoder needs no more than two (4.2), but more do no harm: they cost what their octets cost. */
  #sizeUpdates(block: Uint8Array): void {
    const cursor = this.#cursor;
    while (!cursor.atEnd && ((block[cursor.position] ?? 0) & 0xe0) === SIZE_UPDATE) {
      const capacityBytes = cursor.integer(block, 5);
      if (capacityBytes > this.#maxTableBytes) throw new HpackError("a table size update exceeds what was announced");
      this.#table.resize(capacityBytes);
    }
  }

  /** Measures both strings before it makes one, so that what is kept nowhere costs no memory. */
  #literal(block: Uint8Array, nameIndex: number, isIndexed: boolean, into: HeaderField[]): void {
    const cursor = this.#cursor;
    // Held here, for its entry may be evicted to make room for this one (4.4).
    const knownName = nameIndex === 0 ? undefined : this.#entry(nameIndex).name;
    const nameAt = cursor.position;
    const nameOctets = knownName?.length ?? cursor.skipString(block);
    const valueAt = cursor.position;
    const valueOctets = cursor.skipString(block);
    const size = nameOctets + valueOctets + FIELD_OVERHEAD_BYTES;

    const isKept = isIndexed && this.#table.makeRoom(size);
    const isListed = this.#isListed(size);
    if (!isKept && !isListed) return;
    const name = knownName ?? cursor.textAt(block, nameAt, nameOctets);
    const field = { name, value: cursor.textAt(block, valueAt, valueOctets), size };
    if (isKept) this.#table.insert(field);
    if (isListed) into.push(field);
  }

  /** Passes over fields that nobody will see and that change nothing. Thousands fit into a block, of a few kibibytes each. */
  #skipIndexed(block: Uint8Array): void {
    const highest = Math.min(MAX_SHORT_INDEX, STATIC_TABLE.length + this.#table.count);
    this.#cursor.skip(block, INDEXED + 1, INDEXED + highest);
  }

  #isListed(bytes: number): boolean {
    this.#roomBytes -= bytes;
    return this.#roomBytes >= 0;
  }

  #entry(index: number): HeaderField {
    const field =
      index <= STATIC_TABLE.length ? STATIC_TABLE[index - 1] : this.#table.at(index - STATIC_TABLE.length - 1);
    if (field === undefined) throw new HpackError("an index is in neither table");
    return field;
  }
}
