import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { failureOf } from "../../rpc/fake-gateway.ts";
import type { StoryClient, StreamMessage } from "../story-client.ts";

/** What proto-loader makes of a message: names in lower camel case, enums by name, oneofs by the name of the member. */
interface WireMessage {
  readonly cursor: string;
  readonly event: StreamMessage["kind"];
  readonly revocation?: { readonly tokenId: string };
}

type Answer = {
  readonly token: { readonly id: string };
  readonly secret: string;
  readonly verdict: string;
  readonly source: string;
  readonly cursor: string;
};

/**
 * A stock gRPC client that knows the gateway only by its .proto files.
 *
 * @param includeDirs where those and what they import are
 */
export function grpcJs(includeDirs: readonly string[]) {
  const files = ["token_service", "revocation_service"].map((name) => `m2mgateway/v1/${name}.proto`);
  const definition = loadSync(files, { includeDirs: [...includeDirs], enums: String, longs: String, oneofs: true });
  const root = grpc.loadPackageDefinition(definition);
  return (url: string): StoryClient => {
    const tokens = serviceClient(root, "TokenService", url);
    const revocations = serviceClient(root, "RevocationService", url);
    return {
      async create() {
        const { token, secret } = await unary(tokens, "CreateToken", {});
        return { id: token.id, secret };
      },
      verify: (token) => unary(tokens, "VerifyToken", { token }),
      revoke: (tokenId) => unary(tokens, "RevokeToken", { tokenId }),
      watch: (cursor, signal) => watch(revocations, cursor, signal),
      async failureOf(call) {
        const { code, reason, violations } = await failureOf(call);
        return { code, reason, fields: violations.map(({ field }) => field) };
      },
      close() {
        tokens.close();
        revocations.close();
      },
    };
  };
}

type Services = Record<string, grpc.ServiceClientConstructor>;

function serviceClient(root: grpc.GrpcObject, name: string, url: string): grpc.Client {
  const { v1 } = root.m2mgateway as { v1: Services };
  const Service = v1[name];
  if (Service === undefined) throw new Error(`no service ${name} in the .proto files`);
  return new Service(new URL(url).host, grpc.credentials.createInsecure());
}

/** The generated methods are untyped; this calls them the way they call themselves. */
function methodOf(client: grpc.Client, name: string): grpc.MethodDefinition<object, unknown> {
  const { service } = client.constructor as grpc.ServiceClientConstructor;
  const method = service[name];
  if (method === undefined) throw new Error(`no method ${name}`);
  return method;
}

function unary(client: grpc.Client, name: string, request: object): Promise<Answer> {
  const { path, requestSerialize, responseDeserialize } = methodOf(client, name);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
      error === null ? resolve(answer as Answer) : reject(error),
    );
  });
}

async function* watch(client: grpc.Client, cursor: string, signal: AbortSignal): AsyncGenerator<StreamMessage> {
  const { path, requestSerialize, responseDeserialize } = methodOf(client, "WatchRevocations");
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { cursor });
  signal.addEventListener("abort", () => stream.cancel(), { once: true });
  // Cancelling is reported as an error, to nobody if nothing is being read.
  stream.on("error", () => undefined);
  for await (const message of stream as AsyncIterable<WireMessage>) {
    yield { cursor: message.cursor, kind: message.event, tokenId: message.revocation?.tokenId };
  }
}
