import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HEADERS,
  PADDED,
  PING,
  PREFACE,
  PRIORITY,
  PRIORITY_FLAG,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  writeFrameHeader,
} from "../../../src/http2/frame.ts";
import { encodeFields } from "../../../src/http2/hpack-encoder.ts";

export const HEADER_TABLE_SIZE = 1;
export const INITIAL_WINDOW_SIZE = 4;

type Fields = readonly (readonly [string, string])[];

interface MessageOptions {
  readonly end?: boolean;
  /** Bytes of padding after the payload. */
  readonly padding?: number;
}

interface HeadersOptions extends MessageOptions {
  readonly endHeaders?: boolean;
  /** The stream that this one depends on. */
  readonly dependsOn?: number;
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const parts = Object.entries(values).map(([id, value]) => {
    const part = Buffer.alloc(6);
    part.writeUInt16BE(Number(id), 0);
    part.writeUInt32BE(value, 2);
    return part;
  });
  return frame(SETTINGS, 0, 0, Buffer.concat(parts));
}

export function settingsAck(): Buffer {
  return frame(SETTINGS, ACK, 0);
}

/** What a client sends first. */
export function opening(values: Readonly<Record<number, number>> = {}): Buffer {
  return Buffer.concat([PREFACE, settings(values)]);
}

export function requestFields(path: string, more: Fields = []): Fields {
  return [[":method", "POST"], [":scheme", "http"], [":path", path], [":authority", "test"], ...more];
}

/** @param block a header block, or the fields of one */
export function headers(streamId: number, block: Uint8Array | Fields, options: HeadersOptions = {}): Buffer {
  const { end = false, endHeaders = true, padding, dependsOn } = options;
  const bytes = block instanceof Uint8Array ? block : encodeFields(block);
  const priority = Buffer.alloc(dependsOn === undefined ? 0 : 5);
  if (dependsOn !== undefined) priority.writeUInt32BE(dependsOn, 0);
  const flags =
    (end ? END_STREAM : 0) |
    (endHeaders ? END_HEADERS : 0) |
    (padding === undefined ? 0 : PADDED) |
    (dependsOn === undefined ? 0 : PRIORITY_FLAG);
  return frame(HEADERS, flags, streamId, padded(Buffer.concat([priority, bytes]), padding));
}

/** A request without a body, unless `end` says that one follows. */
export function request(streamId: number, path: string, end = true): Buffer {
  return headers(streamId, requestFields(path), { end });
}

export function continuation(streamId: number, block: Uint8Array, endHeaders: boolean): Buffer {
  return frame(CONTINUATION, endHeaders ? END_HEADERS : 0, streamId, block);
}

export function data(streamId: number, body: Uint8Array | string, options: MessageOptions = {}): Buffer {
  const { end = false, padding } = options;
  const flags = (end ? END_STREAM : 0) | (padding === undefined ? 0 : PADDED);
  return frame(DATA, flags, streamId, padded(Buffer.from(body), padding));
}

export function ping(payload = "12345678"): Buffer {
  return frame(PING, 0, 0, Buffer.from(payload, "latin1"));
}

export function pingAck(payload: Uint8Array): Buffer {
  return frame(PING, ACK, 0, payload);
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function reset(streamId: number, code = 8): Buffer {
  return frame(RST_STREAM, 0, streamId, uint32(code));
}

export function priority(streamId: number, dependsOn = 0): Buffer {
  return frame(PRIORITY, 0, streamId, Buffer.concat([uint32(dependsOn), Buffer.from([16])]));
}

export function goAway(lastStreamId = 0): Buffer {
  return frame(GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(0)]));
}

/** `count` times what `make` makes, in one buffer. */
export function repeat(count: number, make: (index: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

function padded(payload: Buffer, padding: number | undefined): Buffer {
  if (padding === undefined) return payload;
  return Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
