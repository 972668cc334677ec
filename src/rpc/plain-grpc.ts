import { encodeFields } from "../http2/hpack-encoder.ts";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import type { HeaderOf } from "./call-observer.ts";
import { OWN_KEY_HEADER } from "./own-key.ts";

/** The head of a gRPC message: a flag and four bytes of length. */
export const ENVELOPE_HEAD_BYTES = 5;

const PROTO_TYPES: ReadonlySet<string> = new Set(["application/grpc", "application/grpc+proto"]);

/** The trailers of an answer that ended well. As an HPACK block. */
export const OK_TRAILERS: Uint8Array = encodeFields([["grpc-status", "0"]]);

type Fields = readonly (readonly [string, string])[];

const TYPE: Fields = [["content-type", "application/grpc+proto"]];
/** The head of the answer to calls that take gzip, and to those that do not: as the framework's handlers send it. */
const PLAIN = headersOf(TYPE);
const GZIP = headersOf([...TYPE, ["grpc-encoding", "gzip"]]);

/**
 * The head of the answer to a gRPC call that asks for nothing special: binary, not compressed. `undefined` when the call
 * is something else. As an HPACK block. Whether it has a timeout is left to the caller.
 */
export function plainGrpcHeaders(head: RequestHead): Uint8Array | undefined {
  if (head.method !== "POST" || !isPlainGrpc((name) => fieldOf(head, name))) return undefined;
  if (fieldOf(head, OWN_KEY_HEADER) !== undefined) return undefined;
  return takesGzip(fieldOf(head, "grpc-accept-encoding")) ? GZIP : PLAIN;
}

/** Whether the headers of a POST are those of such a call, whoever's key it comes with. */
export function isPlainGrpc(header: HeaderOf): boolean {
  if (!PROTO_TYPES.has(header("content-type") ?? "")) return false;
  return (header("grpc-encoding") ?? "identity") === "identity" && header("expect") === undefined;
}

/** What the framework says to callers who take gzip, although it leaves every answer as it is. */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  return acceptEncoding?.split(",").some((name) => name.trim() === "gzip") === true;
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

function headersOf(fields: Fields): Uint8Array {
  return encodeFields([[":status", "200"], ...fields]);
}
