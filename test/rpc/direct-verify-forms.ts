import { create, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { VerifyTokenRequestSchema } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { Ask } from "./direct-verify-fixture.ts";
import { envelope } from "./fake-gateway.ts";

export type Fields = MessageInitShape<typeof VerifyTokenRequestSchema>;

/** A way to call VerifyToken that is served without the framework. */
export interface Form {
  readonly http: Ask["http"];
  readonly headers: Readonly<Record<string, string>>;
  readonly encode: (fields: Fields) => Buffer;
}

export const GRPC = { "content-type": "application/grpc", te: "trailers" };
export const JSON_TYPE = { "content-type": "application/json" };
export const PROTO_TYPE = { "content-type": "application/proto" };

export function binary(fields: Fields): Buffer {
  return Buffer.from(toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, fields)));
}

export function json(fields: Fields): Buffer {
  return Buffer.from(toJsonString(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, fields)));
}

export const FORMS: Readonly<Record<string, Form>> = {
  gRPC: { http: "2", headers: GRPC, encode: (fields) => envelope(binary(fields)) },
  "gRPC with gzip": {
    http: "2",
    headers: { ...GRPC, "grpc-accept-encoding": "identity, gzip" },
    encode: (fields) => envelope(binary(fields)),
  },
  "Connect JSON over HTTP/1.1": { http: "1.1", headers: JSON_TYPE, encode: json },
  "Connect JSON over HTTP/2": { http: "2", headers: JSON_TYPE, encode: json },
  "Connect proto over HTTP/1.1": { http: "1.1", headers: PROTO_TYPE, encode: binary },
  "Connect proto over HTTP/2": {
    http: "2",
    headers: { ...PROTO_TYPE, "accept-encoding": "gzip", "connect-protocol-version": "1" },
    encode: binary,
  },
};

export function askOf(
  { http, headers, encode }: Form,
  fields: Fields,
  more: Readonly<Record<string, string>> = {},
): Ask {
  return { http, headers: { ...headers, ...more }, pieces: [encode(fields)] };
}
