import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  createEndStreamSerialization,
  endStreamFlag,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { type Exchange, plainHeaders } from "./exchange.ts";
import type { Protocol } from "./protocol.ts";

const endStream = createEndStreamSerialization(undefined);

/** An error as callers are answered with it before anything of their call has been read. Each form is made at its first use. */
export class Refusal {
  readonly error: ConnectError;
  #grpcStatus: Readonly<Record<string, string>> | undefined;
  #endOfStream: Uint8Array | undefined;
  #json: Uint8Array | undefined;

  constructor(error: ConnectError) {
    this.error = error;
  }

  answer(exchange: Exchange, protocol: Protocol): void {
    const contentType = exchange.header("content-type") ?? "";
    if (protocol !== "connect") {
      this.answerInHeaders(exchange, contentType);
    } else if (contentType.toLowerCase().startsWith("application/connect+")) {
      this.#endOfStream ??= endOfStreamWith(this.error);
      answer(exchange, 200, contentType, this.#endOfStream);
    } else {
      this.#json ??= errorToJsonBytes(this.error, undefined);
      answer(exchange, codeToHttpStatus(this.error.code), "application/json", this.#json);
    }
  }

  /** The status in the headers and no body, "trailers-only", which gRPC and gRPC-Web allow both. */
  answerInHeaders(exchange: Exchange, contentType: string): void {
    this.#grpcStatus ??= grpcStatusOf(this.error);
    exchange.writeHead(200, { "content-type": contentType, ...this.#grpcStatus });
    exchange.end();
  }
}

/** Answers one call with an error that no other is answered with. */
export function refuse(exchange: Exchange, protocol: Protocol, error: ConnectError): void {
  new Refusal(error).answer(exchange, protocol);
}

/** A whole answer. */
export function answer(exchange: Exchange, status: number, contentType: string, body: Uint8Array): void {
  exchange.writeHead(status, { "content-type": contentType, "content-length": String(body.byteLength) });
  if (exchange.method !== "HEAD") void exchange.write(body);
  exchange.end();
}

function grpcStatusOf(error: ConnectError): Record<string, string> {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  return plainHeaders(headers);
}

function endOfStreamWith(error: ConnectError): Uint8Array {
  return encodeEnvelope(endStreamFlag, endStream.serialize({ metadata: new Headers(), error }));
}
