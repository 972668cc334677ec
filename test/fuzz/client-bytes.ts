import type { HeaderField } from "../../src/http2/header-field.ts";
import { HpackDecoder } from "../../src/http2/hpack-decoder.ts";
import { FLAG, type Frame, FrameCutter, TYPE } from "./wire.ts";

/** What a client said, as far as it can be told without being the server. */
export class ClientBytes {
  readonly frames: readonly Frame[];
  /** The fields of each header block of a stream, for as long as blocks could be decoded. */
  readonly #blocks = new Map<number, HeaderField[][]>();

  constructor(bytes: Uint8Array) {
    this.frames = new FrameCutter().push(bytes);
    try {
      this.#decode();
    } catch {
      // The connection does not live on beyond such a block.
    }
  }

  /** Whether there is a frame of that type on the stream, or on any. */
  has(type: number, stream?: number): boolean {
    return this.frames.some((frame) => frame.type === type && (stream === undefined || frame.stream === stream));
  }

  get streamsReset(): ReadonlySet<number> {
    return new Set(this.frames.filter(({ type }) => type === TYPE.reset).map(({ stream }) => stream));
  }

  ended(stream: number): boolean {
    const ends = (frame: Frame) => frame.type <= TYPE.headers && (frame.flags & FLAG.endStream) !== 0;
    return this.frames.some((frame) => frame.stream === stream && ends(frame));
  }

  fields(stream: number): readonly HeaderField[] {
    return this.#blocks.get(stream)?.flat() ?? [];
  }

  /** The frames, for whoever has to find out. */
  toString(): string {
    const names = Object.keys(TYPE);
    return this.frames
      .map(
        ({ type, flags, stream, payload }) =>
          `${names[type] ?? type} ${flags} on ${stream}: ${payload.toString("hex")}`,
      )
      .join("\n");
  }

  #decode(): void {
    const decoder = new HpackDecoder(4_096);
    let parts: Buffer[] = [];
    for (const frame of this.frames) {
      if (frame.type === TYPE.headers) parts = [fragmentOf(frame)];
      else if (frame.type === TYPE.continuation) parts.push(frame.payload);
      else continue;
      if ((frame.flags & FLAG.endHeaders) === 0) continue;
      const block = Buffer.concat(parts);
      const fields: HeaderField[] = [];
      decoder.decode(block, 0, block.length, fields, 1 << 20);
      this.#blocks.set(frame.stream, [...(this.#blocks.get(frame.stream) ?? []), fields]);
    }
  }
}

function fragmentOf({ flags, payload }: Frame): Buffer {
  const isPadded = (flags & FLAG.padded) !== 0;
  const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0);
  return payload.subarray((isPadded ? 1 : 0) + ((flags & FLAG.priority) === 0 ? 0 : 5), end);
}
