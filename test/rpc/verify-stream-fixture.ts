import http2 from "node:http2";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { Status } from "../../src/gen/google/rpc/status_pb.ts";
import {
  TokenService,
  type Verdict,
  VerifyTokenStreamRequestSchema,
  type VerifyTokenStreamResponse,
  VerifyTokenStreamResponseSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { observeEnds } from "../../src/rpc/call-observer.ts";
import type { CallReport } from "../../src/rpc/call-report.ts";
import type { RpcDependencies } from "../../src/rpc/rpc-dependencies.ts";
import { VerifyStreamLane } from "../../src/rpc/verify-stream-lane.ts";
import { createVerifyTokenStream } from "../../src/rpc/verify-token-stream.ts";
import type { Token } from "../../src/token/token.ts";
import { openAccess } from "../support/access.ts";
import { admissionWith } from "../support/admission.ts";
import { type Domain, verifyRequest } from "../support/domain.ts";
import { TEST_TRANSPORT } from "../support/test-transport.ts";
import { secretOf, token, tokenId } from "../support/tokens.ts";
import { type FakeGateway, startFakeGateway } from "./fake-gateway.ts";

export const VERIFY_STREAM = "/m2mgateway.v1.TokenService/VerifyTokenStream";

export type StreamRequest = MessageInitShape<typeof VerifyTokenStreamRequestSchema>;

/** Who serves a stream: the engine's lane, or the RPC framework's handler on the transport under test. */
export type Served = "lane" | "handler";

export const SERVED: readonly Served[] = TEST_TRANSPORT === "engine" ? ["lane", "handler"] : ["handler"];

/** Requests that are sent when the test says so. */
export class Outbox {
  readonly #requests: StreamRequest[] = [];
  #ended = false;
  #wake = () => {};
  taken = 0;

  send(...requests: StreamRequest[]): void {
    this.#requests.push(...requests);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) {
        this.taken += 1;
        yield request;
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

export function ask(id: number | bigint, presented: string): StreamRequest {
  return { id: BigInt(id), request: { token: presented } };
}

export function verdictIn({ result }: VerifyTokenStreamResponse): Verdict | undefined {
  return result.case === "response" ? result.value.verdict : undefined;
}

export function reasonIn({ result }: VerifyTokenStreamResponse): string | undefined {
  return result.case === "error" ? reasonOf(result.value) : undefined;
}

function reasonOf({ details }: Status): string | undefined {
  const info = details.find(({ typeUrl }) => typeUrl.endsWith("google.rpc.ErrorInfo"));
  return info && fromBinary(ErrorInfoSchema, info.value).reason;
}

export async function next(answers: AsyncIterator<VerifyTokenStreamResponse>): Promise<VerifyTokenStreamResponse> {
  const result = await answers.next();
  if (result.done === true) throw new Error("the stream ended");
  return result.value;
}

export function dependenciesOf(domain: Domain, maxMessageBytes: number): RpcDependencies {
  return {
    ...domain,
    isDegraded: () => false,
    maxMessageBytes,
    watch: { heartbeatMs: 1, maxLag: 1 },
    watchers: { open: 0, cut: 0 },
    admission: admissionWith(),
    status: () => notAskedFor(),
    fleet: undefined,
    workers: undefined,
    freshness: () => notAskedFor(),
  };
}

function notAskedFor(): never {
  throw new Error("not asked for");
}

/** Has memory know what the upstream says of a token. */
export async function remember(domain: Domain, presented: string, answer: Token | undefined): Promise<void> {
  const asked = domain.verifier.verify(verifyRequest(presented));
  domain.upstream.nextVerify().resolve(answer);
  await asked;
}

/** Revokes a token; resolves once that is acknowledged. */
export async function revoke({ revoker, upstream }: Domain, n: number): Promise<void> {
  const signal = new AbortController().signal;
  const target = { tokenId: tokenId(n) };
  const revoked = revoker.revoke({ target, reason: undefined, wait: "replica", signal });
  upstream.nextRevoke().resolve(token(n, { revoked: true }));
  await revoked;
}

/** A server of VerifyTokenStream alone, over a domain of the test's, and a client. */
export interface StreamServer extends AsyncDisposable {
  readonly gateway: FakeGateway;
  readonly tokens: Client<typeof TokenService>;
  readonly reports: readonly CallReport[];
}

export async function serveStreams(domain: Domain, served: Served, maxMessageBytes = 64 * 1024): Promise<StreamServer> {
  const dependencies = dependenciesOf(domain, maxMessageBytes);
  const reports: CallReport[] = [];
  const observe = observeEnds((report: CallReport) => void reports.push(report));
  // Behind the lane there is no handler: what the lane leaves is UNIMPLEMENTED.
  const gateway = await startFakeGateway(
    served === "handler"
      ? { tokens: { verifyTokenStream: createVerifyTokenStream(dependencies) }, options: { maxMessageBytes, observe } }
      : {
          options: {
            maxMessageBytes,
            observe,
            transport: "engine",
            lanes: {
              unary: [],
              streams: [new VerifyStreamLane(dependencies, openAccess(dependencies.clock), observe)],
            },
          },
        },
  );
  const { url } = gateway.server;
  const sessions = new Http2SessionManager(url);
  const tokens = createClient(TokenService, createGrpcTransport({ baseUrl: url, sessionManager: sessions }));
  return {
    gateway,
    tokens,
    reports,
    async [Symbol.asyncDispose]() {
      sessions.abort();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

export function messageOf(request: StreamRequest): Buffer {
  const schema = VerifyTokenStreamRequestSchema;
  return envelopeOf(toBinary(schema, create(schema, request)));
}

export function envelopeOf(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** A call made byte by byte. */
export class RawStream implements Disposable {
  readonly #session: http2.ClientHttp2Session;
  readonly stream: http2.ClientHttp2Stream;
  headers: http2.IncomingHttpHeaders = {};
  trailers: http2.IncomingHttpHeaders = {};
  /** What has come: kept as bytes, for both to be compared byte for byte. */
  readonly #chunks: Buffer[] = [];
  readonly ended: Promise<void>;

  constructor({ gateway }: StreamServer, more: http2.OutgoingHttpHeaders = {}, windowBytes = 65_535) {
    this.#session = http2.connect(gateway.server.url, { settings: { initialWindowSize: windowBytes } });
    this.stream = this.#session.request({
      ":method": "POST",
      ":path": VERIFY_STREAM,
      "content-type": "application/grpc",
      te: "trailers",
      ...more,
    });
    this.stream.on("response", (headers) => {
      this.headers = headers;
    });
    this.stream.on("trailers", (trailers) => {
      this.trailers = trailers;
    });
    this.ended = new Promise((resolve, reject) => {
      this.stream.once("close", resolve);
      this.stream.once("error", reject);
    });
    // Who does not wait for the end does not mind how it comes.
    this.ended.catch(() => undefined);
  }

  /** Reads what comes, from now on. */
  receive(): void {
    this.stream.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Sends pieces as a DATA frame each, or more. */
  send(...pieces: Buffer[]): void {
    for (const piece of pieces) if (piece.length > 0) this.stream.write(piece);
  }

  get answers(): VerifyTokenStreamResponse[] {
    return this.messages.map((message) => fromBinary(VerifyTokenStreamResponseSchema, message));
  }

  /** The messages that have come whole. */
  get messages(): Buffer[] {
    const bytes = Buffer.concat(this.#chunks);
    const messages: Buffer[] = [];
    for (let at = 0; at + 5 <= bytes.length; ) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      messages.push(bytes.subarray(at + 5, end));
      at = end;
    }
    return messages;
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

/** The token whose secret it is; the upstream knows no others. */
export function tokenBehind(presented: string): Token | undefined {
  const n = /^mt_secret_(\d+)$/.exec(presented)?.[1];
  return n === undefined || presented !== secretOf(Number(n)) ? undefined : token(Number(n));
}
