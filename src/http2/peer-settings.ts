import { DEFAULT_TABLE_BYTES, MAX_FRAME_BYTES, MAX_INT31, uint32At } from "./frame.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";

const HEADER_TABLE_SIZE = 0x1;
const ENABLE_PUSH = 0x2;
const INITIAL_WINDOW_SIZE = 0x4;
const MAX_FRAME_SIZE = 0x5;

/** What of a peer's SETTINGS matters to a server that pushes nothing and sends no frame larger than all must take. */
export interface PeerSettings {
  readonly initialWindow: number | undefined;
  /** The peer's dynamic table is smaller than the one that header blocks may count on. */
  readonly shrinksTable: boolean;
}

/**
 * Of settings given twice the last counts; unknown ones are ignored (RFC 9113, 6.5.3).
 * @throws ConnectionError
 */
export function readPeerSettings(bytes: Buffer, start: number, end: number): PeerSettings {
  let initialWindow: number | undefined;
  let shrinksTable = false;
  for (let at = start; at < end; at += 6) {
    const id = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const value = uint32At(bytes, at + 2);
    if (id === INITIAL_WINDOW_SIZE) {
      if (value > MAX_INT31) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "an initial window is too large");
      initialWindow = value;
    } else if (id === HEADER_TABLE_SIZE) {
      shrinksTable ||= value < DEFAULT_TABLE_BYTES;
    } else if (id === ENABLE_PUSH && value > 1) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1");
    } else if (id === MAX_FRAME_SIZE && (value < MAX_FRAME_BYTES || value > 0xff_ffff)) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of bounds");
    }
  }
  return { initialWindow, shrinksTable };
}
