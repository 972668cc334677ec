import type { Dispatcher, Pool } from "undici";
import { GatewayError } from "../token/errors.ts";
import { orAborted } from "./scope.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData["headers"];
  /** The body, or why there is none to speak of. */
  readonly body: { readonly text: string } | { readonly fault: BodyFault };
}

type BodyFault = "it broke off" | "it is too large" | "it is not UTF-8";

const MAX_BODY_BYTES = 1024 * 1024;

/**
 * Sends one request once and reads the answer to its end. Redirects are answers like any other: following one would
 * hand the key to wherever it points.
 *
 * undici never sends a request again by itself. A request that waits while an idle keep-alive socket turns out to be
 * closed has not been written yet and goes out on a new connection, once. A request that was written to a socket which
 * then closes is failed, idempotent or not (undici's client-h1, onHttpSocketClose); only requests pipelined behind it
 * would be written again, and with pipelining 1 there are none. So one call of this function is at most one request at
 * the upstream.
 *
 * @throws GatewayError UPSTREAM_UNAVAILABLE, UPSTREAM_BAD_RESPONSE (no intelligible head), or the reason of `signal`
 */
export async function exchange(pool: Pool, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  // A request that has no connection yet does not notice its signal, hence orAborted.
  const response = await orAborted(send(pool, request, signal), signal);
  const body = await orAborted(readBody(response.body), signal);
  return { status: response.statusCode, headers: response.headers, body };
}

async function send(pool: Pool, request: HttpRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  try {
    return await pool.request({
      method: request.method,
      path: request.path,
      headers: request.headers,
      body: request.body ?? null,
      signal,
    });
  } catch (error) {
    const code = codeOf(error);
    const cause = new Error(code);
    if (code.startsWith("HPE_") || code === "UND_ERR_HEADERS_OVERFLOW") {
      throw new GatewayError("UPSTREAM_BAD_RESPONSE", "the upstream's answer is not HTTP", {}, cause);
    }
    throw new GatewayError("UPSTREAM_UNAVAILABLE", "the upstream could not be reached", {}, cause);
  }
}

async function readBody(body: AsyncIterable<Uint8Array>): Promise<HttpAnswer["body"]> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_BODY_BYTES) {
        return { fault: "it is too large" };
      }
      chunks.push(chunk);
    }
  } catch {
    return { fault: "it broke off" };
  }
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)) };
  } catch {
    return { fault: "it is not UTF-8" };
  }
}

/** Only the code of a transport error is kept: its text and fields can quote what was sent or received. */
function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code) ? code : "UNKNOWN";
}
