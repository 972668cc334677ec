/** HTTP/2 frames as bytes, written and read without the code under test. */
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const SETTING = {
  tableSize: 1,
  enablePush: 2,
  maxStreams: 3,
  initialWindow: 4,
  maxFrame: 5,
  maxList: 6,
} as const;

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const HEAD_BYTES = 9;
export const INITIAL_WINDOW = 65_535;
export const MAX_FRAME = 16_384;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 0xff]), uint32(value)]));
  return frame(TYPE.settings, 0, 0, Buffer.concat(payload));
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(TYPE.windowUpdate, 0, stream, uint32(increment));
}

export function ping(opaque: string): Buffer {
  return frame(TYPE.ping, 0, 0, Buffer.from(opaque.padEnd(8).slice(0, 8), "latin1"));
}

/** Frames with their padding, and priority for HEADERS, as the flags say. */
export interface Dressing {
  readonly padding?: number | undefined;
  /** Stream that this one depends on. */
  readonly dependsOn?: number | undefined;
}

export function dressed(type: number, flags: number, stream: number, payload: Uint8Array, with_: Dressing): Buffer {
  const { padding, dependsOn } = with_;
  const parts: Uint8Array[] = [payload];
  let all = flags;
  if (dependsOn !== undefined) {
    parts.unshift(Buffer.concat([uint32(dependsOn), Buffer.from([15])]));
    all |= FLAG.priority;
  }
  if (padding !== undefined) {
    parts.unshift(Buffer.from([padding]));
    parts.push(Buffer.alloc(padding));
    all |= FLAG.padded;
  }
  return frame(type, all, stream, Buffer.concat(parts));
}

/** Cuts what one side sends into frames, by their lengths alone. */
export class FrameCutter {
  #rest = Buffer.alloc(0);

  push(bytes: Uint8Array): Frame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    while (this.missing === 0 && this.#rest.length > 0) {
      const end = HEAD_BYTES + this.#rest.readUIntBE(0, 3);
      const head = this.#rest;
      frames.push({
        type: head.readUInt8(3),
        flags: head.readUInt8(4),
        stream: head.readUInt32BE(5) & 0x7fff_ffff,
        payload: head.subarray(HEAD_BYTES, end),
      });
      this.#rest = this.#rest.subarray(end);
    }
    return frames;
  }

  /** Bytes that the frame which has begun still lacks; a frame of unknown length lacks the rest of its head. */
  get missing(): number {
    const { length } = this.#rest;
    if (length === 0) return 0;
    if (length < HEAD_BYTES) return HEAD_BYTES - length;
    return Math.max(0, HEAD_BYTES + this.#rest.readUIntBE(0, 3) - length);
  }
}
