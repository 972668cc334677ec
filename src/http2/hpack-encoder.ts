import { writeInteger } from "./hpack-integer.ts";
import { STATIC_TABLE } from "./hpack-static-table.ts";

/** A table size update to 0: said once, before the first block, it tells the peer to keep no table for us (RFC 7541, 6.3). */
export const TABLE_SIZE_ZERO: number = 0x20;

const INDEXED = 0x80;
const WITHOUT_INDEXING = 0x00;
/** A name's index takes two octets at most, each of two lengths five. */
const MAX_OVERHEAD_OCTETS = 12;

const FIRST_INDEX_OF_NAME = new Map(STATIC_TABLE.map(({ name }, at) => [name, at + 1] as const).reverse());

/**
 * Encodes fields by the static table and literals alone, so that the same fields give the same block on every connection
 * and at any time.
 *
 * @param fields names in lower case, values in latin1.
 * @throws RangeError when a character is not in latin1: cut to an octet, it could become another one.
 */
export function encodeFields(fields: Iterable<readonly [name: string, value: string]>): Buffer {
  const list = [...fields];
  let bound = 0;
  for (const [name, value] of list) bound += name.length + value.length + MAX_OVERHEAD_OCTETS;
  const target = Buffer.allocUnsafe(bound);
  let at = 0;
  for (const [name, value] of list) at = writeField(target, at, name, value);
  return target.subarray(0, at);
}

function writeField(target: Buffer, at: number, name: string, value: string): number {
  const nameIndex = FIRST_INDEX_OF_NAME.get(name) ?? 0;
  const index = nameIndex === 0 ? 0 : indexOfField(nameIndex, name, value);
  if (index !== 0) return writeInteger(target, at, INDEXED, 7, index);
  const afterIndex = writeInteger(target, at, WITHOUT_INDEXING, 4, nameIndex);
  const afterName = nameIndex === 0 ? writeString(target, afterIndex, name) : afterIndex;
  return writeString(target, afterName, value);
}

/** 0 when there is none. Entries of one name stand together. */
function indexOfField(firstIndex: number, name: string, value: string): number {
  for (let index = firstIndex; STATIC_TABLE[index - 1]?.name === name; index++) {
    if (STATIC_TABLE[index - 1]?.value === value) return index;
  }
  return 0;
}

function writeString(target: Buffer, at: number, text: string): number {
  const start = writeInteger(target, at, 0, 7, text.length);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0xff) throw new RangeError("a header field holds a character outside latin1");
    target[start + index] = code;
  }
  return start + text.length;
}
