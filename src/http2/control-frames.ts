import type { EngineLimits } from "./engine-limits.ts";
import {
  ACK,
  DEFAULT_WINDOW_BYTES,
  FRAME_HEADER_BYTES,
  GOAWAY,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  writeFrameHeader,
  writeUint32,
} from "./frame.ts";
import type { Output } from "./output.ts";
import type { ErrorCode } from "./protocol-error.ts";

const MAX_CONCURRENT_STREAMS = 0x3;
const MAX_HEADER_LIST_SIZE = 0x6;

/** The server's preface (RFC 9113, 3.4) and the room for bodies beyond what every connection begins with. */
export function writePreface(output: Output, limits: EngineLimits): void {
  const at = beginFrame(output, 12, SETTINGS, 0, 0);
  writeSetting(output.buffer, at, MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams);
  writeSetting(output.buffer, at + 6, MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes);
  const more = limits.receiveWindowBytes - DEFAULT_WINDOW_BYTES;
  if (more > 0) writeWindowUpdate(output, 0, more);
}

export function writeSettingsAck(output: Output): void {
  beginFrame(output, 0, SETTINGS, ACK, 0);
}

/** @param payload eight bytes of it from `start` on are sent */
export function writePing(output: Output, isAck: boolean, payload: Buffer, start: number): void {
  const at = beginFrame(output, 8, PING, isAck ? ACK : 0, 0);
  payload.copy(output.buffer, at, start, start + 8);
}

export function writeReset(output: Output, streamId: number, code: ErrorCode): void {
  const at = beginFrame(output, 4, RST_STREAM, 0, streamId);
  writeUint32(output.buffer, at, code);
}

export function writeWindowUpdate(output: Output, streamId: number, increment: number): void {
  const at = beginFrame(output, 4, WINDOW_UPDATE, 0, streamId);
  writeUint32(output.buffer, at, increment);
}

/** @param debugText short, in ASCII */
export function writeGoAway(output: Output, lastStreamId: number, code: ErrorCode, debugText: string): void {
  const at = beginFrame(output, 8 + debugText.length, GOAWAY, 0, 0);
  writeUint32(output.buffer, at, lastStreamId);
  writeUint32(output.buffer, at + 4, code);
  output.buffer.write(debugText, at + 8, "latin1");
}

function writeSetting(target: Buffer, at: number, id: number, value: number): void {
  target[at] = id >>> 8;
  target[at + 1] = id;
  writeUint32(target, at + 2, value);
}

/** Writes the header of a frame and makes room for its payload. Returns where that begins in the buffer. */
export function beginFrame(output: Output, length: number, type: number, flags: number, streamId: number): number {
  output.reserve(FRAME_HEADER_BYTES + length);
  const at = output.length;
  writeFrameHeader(output.buffer, at, length, type, flags, streamId);
  output.length = at + FRAME_HEADER_BYTES + length;
  return at + FRAME_HEADER_BYTES;
}
