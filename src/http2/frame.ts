/** Frame types (RFC 9113, 6). */
export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

/** Frame flags. */
export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const PRIORITY_FLAG = 0x20;

export const FRAME_HEADER_BYTES = 9;
/** The largest frame payload that every peer takes (RFC 9113, 4.2), and the largest that we take. */
export const MAX_FRAME_BYTES = 16_384;
/** Flow-control windows and stream identifiers end here. */
export const MAX_INT31 = 0x7fff_ffff;
/** Every window begins with this (RFC 9113, 6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** The dynamic table's size until SETTINGS say otherwise (RFC 9113, 6.5.2). */
export const DEFAULT_TABLE_BYTES = 4096;

/** What every HTTP/2 client sends first (RFC 9113, 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Writes a frame header at `offset`; its payload of `length` bytes follows. */
export function writeFrameHeader(
  target: Uint8Array,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  target[offset] = length >>> 16;
  target[offset + 1] = length >>> 8;
  target[offset + 2] = length;
  target[offset + 3] = type;
  target[offset + 4] = flags;
  writeUint32(target, offset + 5, streamId);
}

export function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return uint31At(bytes, at) + ((bytes[at] ?? 0) >= 0x80 ? 0x8000_0000 : 0);
}

/** Four bytes without their highest bit, which is reserved. */
export function uint31At(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) & 0x7f) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}
