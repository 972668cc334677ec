import { Code, type ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { canceled } from "../token/errors.ts";
import type { CallPlace } from "./call-place.ts";
import { connectErrorFrom, type PresentError, transportError } from "./connect-error.ts";
import { type Exchange, plainHeaders } from "./exchange.ts";
import { createStatusTap, presentUnaryError, unaryErrorContentType } from "./final-status.ts";
import type { Protocol } from "./protocol.ts";

/**
 * Writes an answer as fast as the caller reads it. Resolves with how the call ended.
 *
 * @param place where its bytes are counted, if it is a single message
 * @throws GatewayError OVERLOADED when the answer cannot be kept until the caller has read it
 */
export async function writeResponse(
  exchange: Exchange,
  answer: UniversalServerResponse,
  protocol: Protocol,
  presentError: PresentError,
  place: CallPlace | undefined,
): Promise<ConnectError | undefined> {
  if (answer.body === undefined) return refuse(exchange, answer);
  const contentType = answer.header?.get("content-type");
  if (answer.status !== 200 && contentType === unaryErrorContentType) {
    return await writeUnaryError(exchange, answer, answer.body, presentError);
  }
  const enveloped = protocol !== "connect" || contentType?.startsWith("application/connect") === true;
  const tap = enveloped ? createStatusTap(protocol, presentError) : undefined;
  exchange.writeHead(answer.status, plainHeaders(answer.header));
  const chunks = answer.body[Symbol.asyncIterator]();
  for (;;) {
    const result = await chunks.next();
    if (result.done === true) break;
    place?.hold(result.value.length);
    if (exchange.isClosed || !(await exchange.write(tap?.chunk(result.value) ?? result.value))) {
      // Lets the pipeline behind the chunks, and the handler behind that, run their cleanup.
      await chunks.return?.();
      return connectErrorFrom(canceled());
    }
  }
  const error = tap?.finish(answer.trailer);
  if (answer.trailer === undefined) exchange.end();
  else exchange.end(plainHeaders(answer.trailer));
  return error;
}

/** Answers of the framework without a body: wrong content type, wrong HTTP method, bidi streams over HTTP/1.1. */
function refuse(exchange: Exchange, answer: UniversalServerResponse): ConnectError {
  const headers = plainHeaders(answer.header);
  if (answer.status === 405) headers.allow = "POST";
  if (answer.status === 415) headers["accept-post"] = ACCEPTED_TYPES;
  exchange.writeHead(answer.status, headers);
  exchange.end();
  return transportError(Code.InvalidArgument, "MALFORMED_REQUEST", `refused with HTTP ${answer.status}`);
}

const ACCEPTED_TYPES = [
  "application/json",
  "application/proto",
  "application/connect+json",
  "application/connect+proto",
  "application/grpc",
  "application/grpc+proto",
  "application/grpc-web",
  "application/grpc-web+proto",
].join(", ");

async function writeUnaryError(
  exchange: Exchange,
  answer: UniversalServerResponse,
  chunks: AsyncIterable<Uint8Array>,
  presentError: PresentError,
): Promise<ConnectError> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const { error, status, body } = presentUnaryError(Buffer.concat(parts), presentError);
  exchange.writeHead(status, { ...plainHeaders(answer.header), "content-length": String(body.byteLength) });
  await exchange.write(body);
  exchange.end();
  return error;
}
