import http2 from "node:http2";
import net from "node:net";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  type Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import {
  TokenService,
  Verdict,
  type VerifyTokenRequest,
  VerifyTokenRequestSchema,
  VerifyTokenResponseSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { observeEnds } from "../../src/rpc/call-observer.ts";
import type { CallReport } from "../../src/rpc/call-report.ts";
import { type RpcServer, type RpcServerOptions, startRpcServer } from "../../src/rpc/rpc-server.ts";
import { createValidateInterceptor } from "../../src/rpc/validate-interceptor.ts";
import { admissionWith } from "../support/admission.ts";
import { TEST_TRANSPORT } from "../support/test-transport.ts";

export const MAX_MESSAGE_BYTES = 64 * 1024;

export interface FakeGateway extends AsyncDisposable {
  readonly server: RpcServer;
  readonly reports: CallReport[];
}

export type VerifyToken = (
  request: VerifyTokenRequest,
  context: HandlerContext,
) => Promise<{ verdict: Verdict; cursor?: string }>;

export interface Fakes {
  readonly verifyToken?: VerifyToken;
  readonly tokens?: Partial<ServiceImpl<typeof TokenService>>;
  readonly revocations?: Partial<ServiceImpl<typeof RevocationService>>;
  readonly routes?: (router: ConnectRouter) => void;
  readonly options?: Partial<RpcServerOptions>;
}

/** The real transport around handlers that a test supplies. Whatever the test left open is cut when it ends. */
export async function startFakeGateway(fakes: Fakes = {}): Promise<FakeGateway> {
  const reports: CallReport[] = [];
  const server = await startRpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    interceptors: [createValidateInterceptor()],
    maxMessageBytes: MAX_MESSAGE_BYTES,
    observe: observeEnds((report) => reports.push(report)),
    transport: TEST_TRANSPORT,
    onEngineError: rethrow,
    admission: admissionWith(),
    routes(router) {
      router.service(TokenService, {
        verifyToken: fakes.verifyToken ?? (async () => ({ verdict: Verdict.VALID, cursor: "e.1-0" })),
        ...fakes.tokens,
      });
      router.service(RevocationService, fakes.revocations ?? {});
      fakes.routes?.(router);
    },
    ...fakes.options,
  });
  return { server, reports, [Symbol.asyncDispose]: () => server.drain(0) };
}

/** Resolves once `condition` holds; the test's own timeout is the bound. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** A stock gRPC client, with no knowledge of the server's framework. */
export function grpcClient(server: RpcServer): grpc.Client & Disposable {
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

export function grpcUnary<I extends DescMessage, O extends DescMessage>(
  client: grpc.Client,
  path: string,
  [input, output]: [I, O],
  message: MessageShape<I>,
  options: grpc.CallOptions = {},
): Promise<MessageShape<O>> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      (request: MessageShape<I>) => Buffer.from(toBinary(input, request)),
      (bytes: Buffer) => fromBinary(output, bytes),
      message,
      new grpc.Metadata(),
      options,
      (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
    );
  });
}

export const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";

export function grpcVerify(client: grpc.Client, token: string, options?: grpc.CallOptions) {
  const request = create(VerifyTokenRequestSchema, { token });
  return grpcUnary(client, VERIFY, [VerifyTokenRequestSchema, VerifyTokenResponseSchema], request, options);
}

export interface Failure {
  readonly code: Code;
  readonly message: string;
  readonly reason: string | undefined;
  readonly metadata: Record<string, string>;
  readonly violations: { field: string; description: string }[];
  readonly retryAfterSeconds: number | undefined;
}

/** What a caller can tell of a failed call. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(
    () => new Error("the call succeeded"),
    (thrown: unknown) => thrown,
  );
  const connectError = isGrpcError(error) ? fromGrpc(error) : error;
  if (!(connectError instanceof ConnectError)) throw connectError;
  const [info] = connectError.findDetails(ErrorInfoSchema);
  const [badRequest] = connectError.findDetails(BadRequestSchema);
  const [retry] = connectError.findDetails(RetryInfoSchema);
  return {
    code: connectError.code,
    message: connectError.rawMessage,
    reason: info?.domain === "m2m-gateway" ? info.reason : undefined,
    metadata: info?.metadata ?? {},
    violations: (badRequest?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
    retryAfterSeconds: retry?.retryDelay === undefined ? undefined : Number(retry.retryDelay.seconds),
  };
}

function isGrpcError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && "metadata" in error && error.metadata instanceof grpc.Metadata;
}

function fromGrpc(error: grpc.ServiceError): ConnectError {
  const converted = new ConnectError(error.details, Number(error.code));
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (bytes instanceof Buffer) {
    const status = fromBinary(StatusSchema, bytes);
    if (status.code !== error.code) throw new Error("the status and its details disagree");
    converted.details = status.details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
  }
  return converted;
}

/** Sends bytes as they are and resolves with all that comes back until the server closes. */
export function rawExchange(server: RpcServer, ...chunks: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(server.port, "127.0.0.1");
    let received = "";
    socket.setEncoding("latin1");
    socket.on("data", (data) => {
      received += data;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(received));
    for (const chunk of chunks) socket.write(chunk);
  });
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One HTTP/2 request, byte for byte. Without a body the request stays open. */
export async function rawHttp2(
  server: RpcServer,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer | undefined,
): Promise<RawAnswer> {
  const session = http2.connect(server.url);
  try {
    return await new Promise<RawAnswer>((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request({ ":method": "POST", ...headers });
      let head: http2.IncomingHttpHeaders = {};
      let trailers: http2.IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      stream.on("response", (received) => {
        head = received;
      });
      stream.on("trailers", (received) => {
        trailers = received;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => {
        resolve({ status: Number(head[":status"]), headers: head, trailers, body: Buffer.concat(chunks) });
      });
      if (body !== undefined) stream.end(body);
    });
  } finally {
    session.destroy();
  }
}

/** A gRPC message with its five bytes of head. */
export function envelope(payload: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(payload.byteLength, 1);
  return Buffer.concat([head, payload]);
}

export function post(gateway: FakeGateway, path: string, contentType: string, body: string | Uint8Array, more = {}) {
  return fetch(`${gateway.server.url}${path}`, {
    method: "POST",
    headers: { "content-type": contentType, ...more },
    body: typeof body === "string" ? body : Buffer.from(body),
  });
}

export function verifyRequestBytes(token: string): Uint8Array {
  return toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, { token }));
}

/** One gRPC call of VerifyToken, byte for byte. */
export function grpcPost(gateway: FakeGateway, headers: Record<string, string>, body: Buffer | undefined) {
  return rawHttp2(
    gateway.server,
    { ":path": VERIFY, "content-type": "application/grpc", te: "trailers", ...headers },
    body,
  );
}

/** An uncaught error fails the test run. */
function rethrow(error: unknown): never {
  throw error;
}
