import { createRegistry } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import {
  RevocationService,
  type WatchRevocationsResponse,
} from "../../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { Source, TokenService, Verdict } from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf } from "../../rpc/fake-gateway.ts";
import type { StoryClient, StreamMessage } from "../story-client.ts";

const jsonOptions = { registry: createRegistry(ErrorInfoSchema, BadRequestSchema) };

export function connectJson(httpVersion: "1.1" | "2") {
  return (baseUrl: string) =>
    clientOf(createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: false, jsonOptions }));
}

export function connectBinary(httpVersion: "1.1" | "2") {
  return (baseUrl: string) => clientOf(createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true }));
}

export function grpcWeb(httpVersion: "1.1" | "2") {
  return (baseUrl: string) => clientOf(createGrpcWebTransport({ baseUrl, httpVersion }));
}

export function connectGrpc(baseUrl: string): StoryClient {
  return clientOf(createGrpcTransport({ baseUrl }));
}

function clientOf(transport: Transport): StoryClient {
  const tokens = createClient(TokenService, transport);
  const revocations = createClient(RevocationService, transport);
  return {
    async create() {
      const { token, secret } = await tokens.createToken({});
      return { id: token?.id ?? "", secret };
    },
    async verify(token) {
      const { verdict, source } = await tokens.verifyToken({ token });
      return { verdict: `VERDICT_${Verdict[verdict]}`, source: `SOURCE_${Source[source]}` };
    },
    revoke: (id) => tokens.revokeToken({ target: { case: "tokenId", value: id } }),
    watch: (cursor, signal) => messagesOf(revocations.watchRevocations({ cursor }, { signal })),
    async failureOf(call) {
      const { code, reason, violations } = await failureOf(call);
      return { code, reason, fields: violations.map(({ field }) => field) };
    },
    close: () => undefined,
  };
}

async function* messagesOf(stream: AsyncIterable<WatchRevocationsResponse>): AsyncGenerator<StreamMessage> {
  for await (const { cursor, event } of stream) {
    if (event.case === undefined) throw new Error("a message without an event");
    yield { cursor, kind: event.case, tokenId: event.case === "revocation" ? event.value.tokenId : undefined };
  }
}
