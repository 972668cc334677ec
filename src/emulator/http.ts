import type { IncomingMessage, ServerResponse } from "node:http";
import { apiError } from "./errors.ts";
import type { Json } from "./json.ts";
import { MAX_BODY_BYTES } from "./limits.ts";

/** What a handler answers: a status and a body to write as JSON. */
export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers?: Readonly<Record<string, string>>;
}

export function ok(body: Json): Answer {
  return { status: 200, body };
}

/** An answer as it goes on the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer;
}

/** No charset: the official JavaScript SDK parses a body only when the type is exactly this. */
export const JSON_TYPE = "application/json";

export function toWire(answer: Answer): WireAnswer {
  const payload = Buffer.from(JSON.stringify(answer.body));
  return { status: answer.status, headers: { "content-type": JSON_TYPE, ...answer.headers }, payload };
}

export function send(response: ServerResponse, answer: WireAnswer): void {
  response.writeHead(answer.status, { ...answer.headers, "content-length": answer.payload.length });
  response.end(answer.payload);
}

/** Announces the whole payload, sends its first `bytes` and closes the connection. */
export function sendTruncated(response: ServerResponse, answer: WireAnswer, bytes: number): void {
  response.writeHead(answer.status, { ...answer.headers, "content-length": answer.payload.length });
  response.flushHeaders();
  response.write(answer.payload.subarray(0, bytes));
  response.socket?.destroySoon();
}

const MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES;

/**
 * The whole body. One that is too large is read on, without being kept, up to a bound: a client that is still sending
 * would otherwise see a reset instead of the answer.
 *
 * @throws ApiError request_body_too_large
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    size += bytes.length;
    if (size <= MAX_BODY_BYTES) chunks.push(bytes);
    else chunks.length = 0;
    if (size > MAX_DRAINED_BYTES) break;
  }
  if (size > MAX_BODY_BYTES) {
    const longMessage = `The request body exceeds the maximum allowed size of ${MAX_BODY_BYTES} bytes.`;
    throw apiError("request_body_too_large", { longMessage, headers: { connection: "close" } });
  }
  return Buffer.concat(chunks);
}
