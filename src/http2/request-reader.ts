import type { Socket } from "node:net";
import type { EngineLimits } from "./engine-limits.ts";
import { DEFAULT_TABLE_BYTES } from "./frame.ts";
import type { HeaderField } from "./header-field.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackError } from "./hpack-error.ts";
import { type LaneRequest, laneRequest } from "./lane-desk.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";
import type { RequestHead } from "./request-head.ts";
import { areTrailers, contentLengthOf, parseRequestHead } from "./request-head-parser.ts";
import type { UnaryLane } from "./unary-lane.ts";

/** A request as its header block tells it. The same for equal blocks. */
export interface ReadRequest {
  readonly head: RequestHead;
  readonly lane: LaneRequest | undefined;
  /** As stated; `undefined` when it is not. */
  readonly contentLength: number | undefined;
}

interface KnownBlock {
  readonly bytes: Uint8Array;
  /** Of the decoder's table: with another the bytes may mean another request. */
  readonly version: number;
  readonly request: ReadRequest;
}

/** Blocks of one connection that are remembered; callers use few methods over one connection. */
const MAX_KNOWN_BLOCKS = 4;
/** Comparing longer ones costs more than it saves. */
const MAX_KNOWN_BYTES = 512;

/** Reads the header blocks of one connection, in their order, and remembers those that are likely to come again. */
export class RequestReader {
  readonly #decoder = new HpackDecoder(DEFAULT_TABLE_BYTES);
  readonly #limits: EngineLimits;
  readonly #lanes: ReadonlyMap<string, UnaryLane>;
  readonly #socket: Socket;
  readonly #known: KnownBlock[] = [];
  #nextSlot = 0;

  constructor(limits: EngineLimits, lanes: ReadonlyMap<string, UnaryLane>, socket: Socket) {
    this.#socket = socket;
    this.#limits = limits;
    this.#lanes = lanes;
  }

  /** @throws ConnectionError COMPRESSION_ERROR */
  read(bytes: Buffer, start: number, end: number): ReadRequest | "malformed" | "too_large" {
    const { version } = this.#decoder;
    for (const known of this.#known) {
      if (known.version === version && equals(known.bytes, bytes, start, end)) return known.request;
    }
    const fields = this.#decode(bytes, start, end);
    if (fields === undefined) return "too_large";
    const head = parseRequestHead(fields);
    if (head === undefined) return "malformed";
    const contentLength = contentLengthOf(head);
    if (contentLength === -1) return "malformed";
    const request = { head, lane: this.#laneOf(head), contentLength };
    if (this.#decoder.version === version && end - start <= MAX_KNOWN_BYTES) {
      this.#known[this.#nextSlot] = { bytes: Uint8Array.from(bytes.subarray(start, end)), version, request };
      this.#nextSlot = (this.#nextSlot + 1) % MAX_KNOWN_BLOCKS;
    }
    return request;
  }

  /**
   * Reads a block for the sake of the table, and tells whether it is one of trailers.
   * @throws ConnectionError COMPRESSION_ERROR
   */
  readTrailers(bytes: Buffer, start: number, end: number): boolean {
    const fields = this.#decode(bytes, start, end);
    return fields !== undefined && areTrailers(fields);
  }

  #decode(bytes: Buffer, start: number, end: number): HeaderField[] | undefined {
    const fields: HeaderField[] = [];
    try {
      return this.#decoder.decode(bytes, start, end, fields, this.#limits.maxHeaderListBytes) ? fields : undefined;
    } catch (error) {
      if (error instanceof HpackError) {
        throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, "the header block cannot be read");
      }
      throw error;
    }
  }

  #laneOf(head: RequestHead): LaneRequest | undefined {
    const lane = this.#lanes.get(head.path);
    const reply = lane?.admit(head, this.#socket);
    return lane === undefined || reply === undefined ? undefined : laneRequest(lane, reply);
  }
}

function equals(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = known;
  if (length !== end - start) return false;
  for (let i = 0; i < length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
