import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  contentTypeUnaryJson,
  createEndStreamSerialization,
  endStreamFlag,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { PresentError } from "./connect-error.ts";
import type { Protocol } from "./protocol.ts";

// The framework writes errors of its own straight into the answer, past every interceptor: a request that cannot be
// parsed, one that is too large, an answer that is too large. So the end of every answer is looked at on its way out: an
// error without our details has not been through `presentError`, and is put through it here.

/** Bytes before the payload of an envelope: flags and length. */
const ENVELOPE_HEAD_BYTES = 5;

const endStream = createEndStreamSerialization(undefined);

/** Watches one answer for its final status. */
export interface StatusTap {
  /** Takes each chunk of the body and returns what to send instead. */
  chunk(bytes: Uint8Array): Uint8Array;
  /** Called after the last chunk; rewrites the trailers in place. Returns how the call ended. */
  finish(trailers: Headers | undefined): ConnectError | undefined;
}

/** For answers of the streaming forms: gRPC, gRPC-Web, and Connect streams. Every chunk is one whole envelope. */
export function createStatusTap(protocol: Protocol, presentError: PresentError): StatusTap {
  let seen: ConnectError | undefined;
  const present: Present = (error) => {
    seen = presentError(error);
    return seen;
  };
  return {
    chunk(bytes) {
      if (protocol === "grpc-web" && ((bytes[0] ?? 0) & trailerFlag) !== 0) return grpcWebTrailer(bytes, present);
      if (protocol === "connect" && ((bytes[0] ?? 0) & endStreamFlag) !== 0) return connectEnd(bytes, present);
      return bytes;
    },
    finish(trailers) {
      if (protocol === "grpc" && trailers !== undefined) rewriteTrailers(trailers, present);
      return seen;
    },
  };
}

/** An error answer to a Connect unary call, made presentable, with the HTTP status and body to send. */
export function presentUnaryError(
  bytes: Uint8Array,
  presentError: PresentError,
): { error: ConnectError; status: number; body: Uint8Array } {
  const error = presentError(errorFromJsonBytes(bytes, undefined, new ConnectError("", Code.Internal)));
  return { error, status: codeToHttpStatus(error.code), body: errorToJsonBytes(error, undefined) };
}

export const unaryErrorContentType = contentTypeUnaryJson;

type Present = (error: ConnectError) => ConnectError;

function grpcWebTrailer(bytes: Uint8Array, present: Present): Uint8Array {
  const trailers = trailerParse(bytes.subarray(ENVELOPE_HEAD_BYTES));
  return rewriteTrailers(trailers, present) ? encodeEnvelope(trailerFlag, trailerSerialize(trailers)) : bytes;
}

function connectEnd(bytes: Uint8Array, present: Present): Uint8Array {
  const { metadata, error } = endStream.parse(bytes.subarray(ENVELOPE_HEAD_BYTES));
  if (error === undefined) return bytes;
  const presented = present(error);
  if (presented === error) return bytes;
  return encodeEnvelope(endStreamFlag, endStream.serialize({ metadata, error: presented }));
}

/** @returns whether it changed them */
function rewriteTrailers(trailers: Headers, present: Present): boolean {
  const found = findTrailerError(trailers);
  if (found === undefined) return false;
  const bare = new ConnectError(found.rawMessage, found.code);
  bare.details = found.details;
  const presented = present(bare);
  if (presented === bare) return false;
  setTrailerStatus(trailers, presented);
  return true;
}
