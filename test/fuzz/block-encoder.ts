import { STATIC_TABLE } from "../../src/http2/hpack-static-table.ts";
import { huffmanCodes } from "../../src/http2/huffman-code.ts";

/** One header field and how it is to be encoded. */
export interface FieldSpec {
  readonly name: string;
  readonly value: string;
  /** `index`: put into the table, or named by its place there. */
  readonly form: "index" | "plain" | "never";
  readonly isHuffman: boolean;
}

const TABLE_BYTES = 4_096;
const CODES = new Map(huffmanCodes().map(({ symbol, bits, code }) => [symbol, code.toString(2).padStart(bits, "0")]));

/** An HPACK encoder that uses all that the format has (RFC 7541), as it is told to for each field. */
export class BlockEncoder {
  readonly #table: { readonly name: string; readonly value: string }[] = [];
  #maxBytes = TABLE_BYTES;

  /** @param resize first sets the table to so many bytes, at most 4,096 */
  encode(fields: readonly FieldSpec[], resize?: number): Buffer {
    const parts: Buffer[] = [];
    if (resize !== undefined) {
      parts.push(integer(0x20, 5, resize));
      this.#maxBytes = resize;
      this.#evict();
    }
    for (const field of fields) parts.push(this.#field(field));
    return Buffer.concat(parts);
  }

  #field({ name, value, form, isHuffman }: FieldSpec): Buffer {
    const all = [...STATIC_TABLE, ...this.#table];
    const whole = all.findIndex((entry) => entry.name === name && entry.value === value) + 1;
    if (whole > 0 && form === "index") return integer(0x80, 7, whole);
    const nameIndex = all.findIndex((entry) => entry.name === name) + 1;
    const start = {
      index: integer(0x40, 6, nameIndex),
      plain: integer(0, 4, nameIndex),
      never: integer(0x10, 4, nameIndex),
    };
    const parts = [start[form]];
    if (nameIndex === 0) parts.push(string(name, isHuffman));
    parts.push(string(value, isHuffman));
    if (form === "index") {
      this.#table.unshift({ name, value });
      this.#evict();
    }
    return Buffer.concat(parts);
  }

  #evict(): void {
    const bytes = () => this.#table.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
    while (bytes() > this.#maxBytes) this.#table.pop();
  }
}

function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.from([pattern | value]);
  const bytes = [pattern | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function string(text: string, isHuffman: boolean): Buffer {
  const octets = Buffer.from(text, "latin1");
  if (!isHuffman) return Buffer.concat([integer(0, 7, octets.length), octets]);
  const bits = [...octets].map((octet) => CODES.get(octet) ?? "").join("");
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  const coded = Buffer.from((padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  return Buffer.concat([integer(0x80, 7, coded.length), coded]);
}
