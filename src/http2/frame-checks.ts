import { ConnectionError, ErrorCode } from "./protocol-error.ts";

/** Even streams are the server's, and always idle for nothing is pushed (RFC 9113, 5.1.1). */
export function expectRequest(streamId: number): void {
  if ((streamId & 1) === 0)
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame needs a stream of the client's");
}

export function expectStream(streamId: number): void {
  if (streamId === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame needs a stream");
}

export function expectConnection(streamId: number): void {
  if (streamId !== 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame is the connection's own");
}

export function expectLength(length: number, expected: number): void {
  if (length !== expected) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a frame of a wrong size");
}
