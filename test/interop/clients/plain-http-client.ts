import { spawn } from "node:child_process";
import http from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { fromBinary } from "@bufbuild/protobuf";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { BadRequestSchema, ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import type { StoryClient, StreamMessage } from "../story-client.ts";

/** Sends one POST and gives the body of the answer as it arrives. */
export type Post = (url: string, contentType: string, body: Buffer, signal: AbortSignal) => Readable;

const UNARY = "application/json";
/** A Connect stream: every message has five bytes before it, flags and length. */
const STREAM = "application/connect+json";
const HEAD_BYTES = 5;
const END_FLAG = 2;

/** The gateway through JSON over HTTP, by nothing but a program that can send a POST. */
export function plainHttp(post: Post) {
  return (url: string): StoryClient => {
    const call = (method: string, body: object) => callUnary(post, `${url}/m2mgateway.v1.TokenService/${method}`, body);
    return {
      async create() {
        const { token, secret } = await call("CreateToken", {});
        return { id: token?.id ?? "", secret: secret ?? "" };
      },
      async verify(token) {
        const { verdict = "", source = "" } = await call("VerifyToken", { token });
        return { verdict, source };
      },
      async revoke(tokenId) {
        const { cursor = "" } = await call("RevokeToken", { tokenId });
        return { cursor };
      },
      watch: (cursor, signal) => watch(post, url, cursor, signal),
      async failureOf(failing) {
        const error = await failing.then(
          () => new Error("the call succeeded"),
          (thrown: unknown) => thrown,
        );
        if (!(error instanceof JsonError)) throw error;
        return { code: error.code, reason: error.reason(), fields: error.fields() };
      },
      close: () => undefined,
    };
  };
}

/** node:http over HTTP/1.1. */
export function postWithNode(url: string, contentType: string, body: Buffer, signal: AbortSignal): Readable {
  const answer = new PassThrough();
  const request = http.request(url, { method: "POST", headers: { "content-type": contentType }, signal, agent: false });
  request.on("response", (response) => {
    response.on("error", (error) => answer.destroy(error));
    response.pipe(answer);
  });
  request.on("error", (error) => answer.destroy(error));
  request.end(body);
  return answer;
}

/** The real curl. */
export function postWithCurl(url: string, contentType: string, body: Buffer, signal: AbortSignal): Readable {
  const curl = spawn("curl", ["-sN", url, "-H", `content-type: ${contentType}`, "--data-binary", "@-"], { signal });
  // Aborting kills it, which is reported as an error.
  curl.on("error", (error) => curl.stdout.destroy(error));
  curl.stdin.on("error", () => undefined);
  curl.stdin.end(body);
  return curl.stdout;
}

interface JsonAnswer {
  readonly token?: { readonly id: string };
  readonly secret?: string;
  readonly verdict?: string;
  readonly source?: string;
  readonly cursor?: string;
}

interface JsonErrorBody {
  readonly code: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

class JsonError extends Error {
  readonly #body: JsonErrorBody;

  constructor(body: JsonErrorBody) {
    super(`answered with ${body.code}`);
    this.#body = body;
  }

  get code(): number {
    return codeFromString(this.#body.code) ?? 0;
  }

  reason(): string | undefined {
    return this.#details("google.rpc.ErrorInfo").map((bytes) => fromBinary(ErrorInfoSchema, bytes).reason)[0];
  }

  fields(): string[] {
    return this.#details("google.rpc.BadRequest").flatMap((bytes) =>
      fromBinary(BadRequestSchema, bytes).fieldViolations.map(({ field }) => field),
    );
  }

  #details(type: string): Buffer[] {
    const details = this.#body.details ?? [];
    return details.filter((detail) => detail.type === type).map(({ value }) => Buffer.from(value, "base64"));
  }
}

async function callUnary(post: Post, url: string, body: object): Promise<JsonAnswer> {
  const chunks: Buffer[] = [];
  const answer = post(url, UNARY, Buffer.from(JSON.stringify(body)), new AbortController().signal);
  for await (const chunk of answer) chunks.push(chunk);
  const json: JsonAnswer | JsonErrorBody = JSON.parse(Buffer.concat(chunks).toString());
  if ("code" in json) throw new JsonError(json);
  return json;
}

interface JsonMessage {
  readonly cursor?: string;
  readonly revocation?: { readonly tokenId: string };
  readonly snapshotComplete?: object;
  readonly heartbeat?: object;
  readonly reset?: object;
}

async function* watch(post: Post, url: string, cursor: string, signal: AbortSignal): AsyncGenerator<StreamMessage> {
  const body = enveloped(JSON.stringify({ cursor }));
  const answer = post(`${url}/m2mgateway.v1.RevocationService/WatchRevocations`, STREAM, body, signal);
  for await (const [flags, payload] of envelopes(answer)) {
    if (flags === END_FLAG) throw new Error(`the stream ended: ${payload}`);
    const message: JsonMessage = JSON.parse(payload);
    yield { cursor: message.cursor ?? "", kind: kindOf(message), tokenId: message.revocation?.tokenId };
  }
}

function kindOf(message: JsonMessage): StreamMessage["kind"] {
  for (const kind of ["revocation", "snapshotComplete", "heartbeat", "reset"] as const) {
    if (message[kind] !== undefined) return kind;
  }
  throw new Error("a message without an event");
}

function enveloped(payload: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(Buffer.byteLength(payload), 1);
  return Buffer.concat([head, Buffer.from(payload)]);
}

async function* envelopes(stream: Readable): AsyncGenerator<readonly [flags: number, payload: string]> {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= HEAD_BYTES && held.length >= HEAD_BYTES + held.readUInt32BE(1)) {
      const end = HEAD_BYTES + held.readUInt32BE(1);
      yield [held.readUInt8(0), held.subarray(HEAD_BYTES, end).toString()];
      held = held.subarray(end);
    }
  }
}
