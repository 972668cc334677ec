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

/** Answers a call with an error, before anything of its body has been read. */
export function refuse(exchange: Exchange, protocol: Protocol, error: ConnectError): void {
  const contentType = exchange.header("content-type") ?? "";
  if (protocol !== "connect") {
    refuseInHeaders(exchange, contentType, error);
  } else if (contentType.toLowerCase().startsWith("application/connect+")) {
    const end = endStream.serialize({ metadata: new Headers(), error });
    answer(exchange, 200, contentType, encodeEnvelope(endStreamFlag, end));
  } else {
    answer(exchange, codeToHttpStatus(error.code), "application/json", errorToJsonBytes(error, undefined));
  }
}

/** The status in the headers and no body, "trailers-only", which gRPC and gRPC-Web allow both. */
export function refuseInHeaders(exchange: Exchange, contentType: string, error: ConnectError): void {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  exchange.writeHead(200, { "content-type": contentType, ...plainHeaders(headers) });
  exchange.end();
}

/** A whole answer. */
export function answer(exchange: Exchange, status: number, contentType: string, body: Uint8Array): void {
  exchange.writeHead(status, { "content-type": contentType, "content-length": String(body.byteLength) });
  if (exchange.method !== "HEAD") void exchange.write(body);
  exchange.end();
}
