import { fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  type VerifyTokenRequest,
  VerifyTokenRequestSchema,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { visibleText } from "../token/visible-text.ts";
import type { Exchange } from "./exchange.ts";
import { envelope, isPlainGrpc, onlyMessage, takesGzip } from "./plain-grpc.ts";
import type { Protocol } from "./protocol.ts";
import { tokenInMessage } from "./verify-request-bytes.ts";

/** What is asked: a token and nothing else, or a whole request that no rule has been held against yet. */
export type Asked = { readonly token: string } | { readonly request: VerifyTokenRequest };

/** How a call of VerifyToken is spoken. */
export interface VerifyForm {
  readonly protocol: Protocol;
  /** `undefined` for what cannot be read. */
  read(body: Buffer): Asked | undefined;
  encode(response: VerifyTokenResponse): Uint8Array;
  /** False when nobody reads the answer. */
  answer(exchange: Exchange, encoded: Uint8Array): Promise<boolean>;
}

/** Unknown fields may be a later version's. */
const JSON_OPTIONS = { ignoreUnknownFields: true };

/** The form of a call that is nothing out of the ordinary; `undefined` for all others. */
export function formOf(exchange: Exchange): VerifyForm | undefined {
  if (exchange.method !== "POST") return undefined;
  const header = (name: string) => exchange.header(name);
  if (exchange.httpVersion === "2.0" && isPlainGrpc(header)) {
    return takesGzip(header("grpc-accept-encoding")) ? GRPC_WITH_GZIP : GRPC;
  }
  if ((header("content-encoding") ?? "identity") !== "identity" || header("expect") !== undefined) return undefined;
  return CONNECT.get(header("content-type") ?? "");
}

function grpcForm(headers: Readonly<Record<string, string>>): VerifyForm {
  return {
    protocol: "grpc",
    read(body) {
      const message = onlyMessage(body);
      return message === undefined ? undefined : readBinary(message);
    },
    encode: encodeBinary,
    async answer(exchange, encoded) {
      exchange.writeHead(200, { "content-type": "application/grpc+proto", ...headers });
      const isRead = await exchange.write(envelope(encoded));
      if (isRead) exchange.end({ "grpc-status": "0" });
      return isRead;
    },
  };
}

const GRPC = grpcForm({});
const GRPC_WITH_GZIP = grpcForm({ "grpc-encoding": "gzip" });

/** Unary calls of Connect: the message is the body. */
function connectForm(contentType: string, codec: Pick<VerifyForm, "read" | "encode">): VerifyForm {
  return {
    protocol: "connect",
    ...codec,
    async answer(exchange, encoded) {
      const length = String(encoded.byteLength);
      exchange.writeHead(200, { "content-type": contentType, "content-length": length });
      const isRead = await exchange.write(encoded);
      if (isRead) exchange.end();
      return isRead;
    },
  };
}

const CONNECT: ReadonlyMap<string, VerifyForm> = new Map([
  ["application/json", connectForm("application/json", { read: readJson, encode: encodeJson })],
  ["application/proto", connectForm("application/proto", { read: readBinary, encode: encodeBinary })],
]);

function readBinary(message: Buffer): Asked | undefined {
  const tokenAt = tokenInMessage(message, 0, message.length);
  const token = tokenAt === 0 ? undefined : visibleText(message, tokenAt, message.length);
  if (token !== undefined) return { token };
  return readable(() => fromBinary(VerifyTokenRequestSchema, message));
}

function readJson(body: Buffer): Asked | undefined {
  return readable(() => fromJsonString(VerifyTokenRequestSchema, UTF_8.decode(body), JSON_OPTIONS));
}

/** As the framework does. */
const UTF_8 = new TextDecoder();

function readable(read: () => VerifyTokenRequest): Asked | undefined {
  try {
    return { request: read() };
  } catch {
    // Why is for the framework to say.
    return undefined;
  }
}

function encodeBinary(response: VerifyTokenResponse): Uint8Array {
  return toBinary(VerifyTokenResponseSchema, response);
}

function encodeJson(response: VerifyTokenResponse): Uint8Array {
  return Buffer.from(toJsonString(VerifyTokenResponseSchema, response));
}
