import { Http2ServerResponse } from "node:http2";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { canceled } from "../token/errors.ts";
import { connectErrorFrom, transportError } from "./connect-error.ts";
import { createStatusTap, presentUnaryError, unaryErrorContentType } from "./final-status.ts";
import { type NodeResponse, nodeHeadersOf } from "./node-message.ts";
import type { Protocol } from "./protocol.ts";

/** Writes an answer as fast as the caller reads it. Resolves with how the call ended. */
export async function writeResponse(
  response: NodeResponse,
  answer: UniversalServerResponse,
  protocol: Protocol,
): Promise<ConnectError | undefined> {
  if (answer.body === undefined) return refuse(response, answer);
  const contentType = answer.header?.get("content-type");
  if (answer.status !== 200 && contentType === unaryErrorContentType) {
    return await writeUnaryError(response, answer, answer.body);
  }
  const enveloped = protocol !== "connect" || contentType?.startsWith("application/connect") === true;
  const tap = enveloped ? createStatusTap(protocol) : undefined;
  response.writeHead(answer.status, nodeHeadersOf(answer.header));
  const chunks = answer.body[Symbol.asyncIterator]();
  for (;;) {
    const result = await chunks.next();
    if (result.done === true) break;
    if (isClosed(response) || !(await write(response, tap?.chunk(result.value) ?? result.value))) {
      // Lets the pipeline behind the chunks, and the handler behind that, run their cleanup.
      await chunks.return?.();
      return connectErrorFrom(canceled());
    }
  }
  const error = tap?.finish(answer.trailer);
  if (answer.trailer !== undefined) response.addTrailers(nodeHeadersOf(answer.trailer));
  response.end();
  return error;
}

/** Answers of the framework without a body: wrong content type, wrong HTTP method, bidi streams over HTTP/1.1. */
function refuse(response: NodeResponse, answer: UniversalServerResponse): ConnectError {
  const headers = nodeHeadersOf(answer.header);
  if (answer.status === 405) headers.allow = "POST";
  if (answer.status === 415) headers["accept-post"] = ACCEPTED_TYPES;
  response.writeHead(answer.status, headers);
  response.end();
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
  response: NodeResponse,
  answer: UniversalServerResponse,
  chunks: AsyncIterable<Uint8Array>,
): Promise<ConnectError> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const { error, status, body } = presentUnaryError(Buffer.concat(parts));
  response.writeHead(status, { ...nodeHeadersOf(answer.header), "content-length": String(body.byteLength) });
  await write(response, body);
  response.end();
  return error;
}

/** Resolves once there is room for more, or with `false` when nobody reads any more. */
async function write(response: NodeResponse, bytes: Uint8Array): Promise<boolean> {
  const hasRoom = response instanceof Http2ServerResponse ? response.write(bytes) : response.write(bytes);
  if (!hasRoom && !isClosed(response)) {
    await new Promise<void>((resolve) => {
      const settle = () => {
        response.off("drain", settle);
        response.off("close", settle);
        resolve();
      };
      response.on("drain", settle);
      response.on("close", settle);
    });
  }
  return !isClosed(response);
}

function isClosed(response: NodeResponse): boolean {
  return response instanceof Http2ServerResponse ? response.stream.destroyed : response.destroyed;
}
