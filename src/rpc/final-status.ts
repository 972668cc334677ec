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
import { connectErrorFrom } from "./connect-error.ts";
import type { Protocol } from "./protocol.ts";

// The framework writes errors of its own straight into the answer, past every interceptor: a request that cannot be
// parsed, one that is too large, an answer that is too large. So the end of every answer is looked at on its way out: an
// error without details has not been through connectErrorFrom, and is put through it here.

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
export function createStatusTap(protocol: Protocol): StatusTap {
  let seen: ConnectError | undefined;
  const present = (error: ConnectError | undefined): ConnectError | undefined => {
    seen = presentable(error);
    return seen;
  };
  return {
    chunk(bytes) {
      if (protocol === "grpc-web" && ((bytes[0] ?? 0) & trailerFlag) !== 0) return grpcWebTrailer(bytes, present);
      if (protocol === "connect" && ((bytes[0] ?? 0) & endStreamFlag) !== 0) return connectEnd(bytes, present);
      return bytes;
    },
    finish(trailers) {
      if (protocol === "grpc" && trailers !== undefined) present(rewriteTrailers(trailers));
      return seen;
    },
  };
}

/** An error answer to a Connect unary call, made presentable, with the HTTP status and body to send. */
export function presentUnaryError(bytes: Uint8Array): { error: ConnectError; status: number; body: Uint8Array } {
  const unreadable = new ConnectError("", Code.Internal);
  const error = presentable(errorFromJsonBytes(bytes, undefined, unreadable)) ?? unreadable;
  return { error, status: codeToHttpStatus(error.code), body: errorToJsonBytes(error, undefined) };
}

export const unaryErrorContentType = contentTypeUnaryJson;

function grpcWebTrailer(bytes: Uint8Array, present: typeof presentable): Uint8Array {
  const trailers = trailerParse(bytes.subarray(ENVELOPE_HEAD_BYTES));
  if (present(rewriteTrailers(trailers)) === undefined) return bytes;
  return encodeEnvelope(trailerFlag, trailerSerialize(trailers));
}

function connectEnd(bytes: Uint8Array, present: typeof presentable): Uint8Array {
  const { metadata, error } = endStream.parse(bytes.subarray(ENVELOPE_HEAD_BYTES));
  if (error === undefined) return bytes;
  const presented = present(error);
  if (presented === error || presented === undefined) return bytes;
  return encodeEnvelope(endStreamFlag, endStream.serialize({ metadata, error: presented }));
}

function rewriteTrailers(trailers: Headers): ConnectError | undefined {
  const found = findTrailerError(trailers);
  if (found === undefined) return undefined;
  const bare = new ConnectError(found.rawMessage, found.code);
  bare.details = found.details;
  const presented = presentable(bare);
  if (presented !== undefined && presented !== bare) setTrailerStatus(trailers, presented);
  return presented;
}

function presentable(error: ConnectError | undefined): ConnectError | undefined {
  return error === undefined ? undefined : connectErrorFrom(error);
}
