import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import { expect } from "vitest";
import {
  TokenService,
  VerifyTokenRequestSchema,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { UnaryLane } from "../../src/http2/unary-lane.ts";
import { createValidateInterceptor } from "../../src/rpc/validate-interceptor.ts";
import { createVerifyLane } from "../../src/rpc/verify-lane.ts";
import { createVerifyToken } from "../../src/rpc/verify-token.ts";
import type { Token } from "../../src/token/token.ts";
import { type Domain, verifyRequest } from "../support/domain.ts";
import { secretOf, token, tokenId } from "../support/tokens.ts";

export const SECRET = secretOf(1);
export const PATH = "/m2mgateway.v1.TokenService/VerifyToken";
export const MAX_MESSAGE_BYTES = 8_000;

const NO_REPLY = { headers: new Uint8Array(), trailers: new Uint8Array() };

/** One domain, answered by the lane and by the RPC framework. */
export class VerifyLaneFixture {
  readonly domain: Domain;
  readonly lane: UnaryLane;
  degraded = false;
  readonly answered: [number, number][] = [];
  readonly #handlers: ReturnType<typeof createConnectRouter>["handlers"];

  constructor(domain: Domain) {
    this.domain = domain;
    const dependencies = { ...domain, isDegraded: () => this.degraded, maxMessageBytes: MAX_MESSAGE_BYTES };
    this.lane = createVerifyLane({
      ...dependencies,
      onAnswered: (count, durationMs) => this.answered.push([count, durationMs]),
    });
    this.#handlers = createConnectRouter({
      interceptors: [createValidateInterceptor()],
      acceptCompression: [compressionGzip],
      compressMinBytes: Number.MAX_SAFE_INTEGER,
      readMaxBytes: MAX_MESSAGE_BYTES,
      writeMaxBytes: MAX_MESSAGE_BYTES,
    }).service(TokenService, { verifyToken: createVerifyToken(dependencies) }).handlers;
  }

  /** What the lane writes, inside a larger request and a larger answer; empty when it leaves the call to others. */
  ask(body: Uint8Array): Buffer {
    const target = Buffer.alloc(this.lane.maxAnswerBytes + 7, 0xee);
    const input = Buffer.concat([Buffer.from("before"), body, Buffer.from("after")]);
    const written = this.lane.answer(input, 6, 6 + body.length, target, 7, NO_REPLY);
    expect(target.subarray(0, 7).every((byte) => byte === 0xee)).toBe(true);
    expect(target.subarray(7 + written).every((byte) => byte === 0xee)).toBe(true);
    return target.subarray(7, 7 + written);
  }

  verify(presented: string): VerifyTokenResponse | undefined {
    const written = this.ask(requestOf({ token: presented }));
    return written.length === 0 ? undefined : fromBinary(VerifyTokenResponseSchema, written.subarray(5));
  }

  async handle(body: Uint8Array, headers: Record<string, string> = {}) {
    const handler = this.#handlers.find(({ requestPath }) => requestPath === PATH);
    if (handler === undefined) throw new Error(`no handler of ${PATH}`);
    const answer = await handler({
      httpVersion: "2.0",
      method: "POST",
      url: `http://gateway${PATH}`,
      header: new Headers({ "content-type": "application/grpc", te: "trailers", ...headers }),
      body: chunksOf(body),
      signal: new AbortController().signal,
      contextValues: { get: (key) => key.defaultValue, set: () => never(), delete: () => never() },
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body ?? []) chunks.push(chunk);
    return { answer, body: Buffer.concat(chunks) };
  }

  /** Demands that both answer alike, byte for byte, and returns the answer. */
  async same(presented: string = SECRET): Promise<VerifyTokenResponse> {
    const body = requestOf({ token: presented });
    const written = Buffer.from(this.ask(body));
    expect(written.length).toBeGreaterThan(0);
    expect(written).toEqual((await this.handle(body)).body);
    return fromBinary(VerifyTokenResponseSchema, written.subarray(5));
  }

  async observe(answer: Token | undefined, presented: string = SECRET): Promise<void> {
    const asked = this.domain.verifier.verify(verifyRequest(presented));
    this.domain.upstream.nextVerify().resolve(answer);
    await asked;
  }

  async revoke(n = 1): Promise<void> {
    const target = { tokenId: tokenId(n) };
    const signal = new AbortController().signal;
    const done = this.domain.revoker.revoke({ target, reason: "leaked", wait: "replica", signal });
    this.domain.upstream.nextRevoke().resolve(token(n, { revoked: true }));
    await done;
  }
}

export function requestOf(fields: MessageInitShape<typeof VerifyTokenRequestSchema>): Buffer {
  return envelope(toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, fields)));
}

export function envelope(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

async function* chunksOf(body: Uint8Array) {
  yield body;
}

function never(): never {
  throw new Error("not asked for");
}
