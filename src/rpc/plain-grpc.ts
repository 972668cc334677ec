import { encodeFields } from "../http2/hpack-encoder.ts";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import { OWN_KEY_HEADER } from "./own-key.ts";

/** The head of a gRPC message: a flag and four bytes of length. */
export const ENVELOPE_HEAD_BYTES = 5;

const PROTO_TYPES: ReadonlySet<string> = new Set(["application/grpc", "application/grpc+proto"]);

/** The trailers of an answer that ended well. As an HPACK block. */
export const OK_TRAILERS: Uint8Array = encodeFields([["grpc-status", "0"]]);

/** The head of the answer to calls that take gzip, and to those that do not: as the framework's handlers send it. */
const PLAIN = headersOf([]);
const GZIP = headersOf([["grpc-encoding", "gzip"]]);

/**
 * The head of the answer to a gRPC call that asks for nothing special: binary, not compressed. `undefined` when the call
 * is something else. As an HPACK block. Whether it has a timeout is left to the caller.
 */
export function plainGrpcHeaders(head: RequestHead): Uint8Array | undefined {
  if (head.method !== "POST" || !PROTO_TYPES.has(fieldOf(head, "content-type") ?? "")) return undefined;
  if ((fieldOf(head, "grpc-encoding") ?? "identity") !== "identity") return undefined;
  if (fieldOf(head, "expect") !== undefined || fieldOf(head, OWN_KEY_HEADER) !== undefined) return undefined;
  // What the framework says to callers who take gzip, although it leaves every answer as it is.
  const takes = fieldOf(head, "grpc-accept-encoding")?.split(",") ?? [];
  return takes.some((name) => name.trim() === "gzip") ? GZIP : PLAIN;
}

/** The message of a body that holds exactly one, not compressed; `undefined` when it does not. */
export function onlyMessage(body: Buffer): Buffer | undefined {
  if (body.length < ENVELOPE_HEAD_BYTES || body[0] !== 0) return undefined;
  return body.readUInt32BE(1) === body.length - ENVELOPE_HEAD_BYTES ? body.subarray(ENVELOPE_HEAD_BYTES) : undefined;
}

/** A message as gRPC sends it. */
export function envelope(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafeSlow(ENVELOPE_HEAD_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, ENVELOPE_HEAD_BYTES);
  return bytes;
}

function headersOf(more: readonly (readonly [string, string])[]): Uint8Array {
  return encodeFields([[":status", "200"], ["content-type", "application/grpc+proto"], ...more]);
}
