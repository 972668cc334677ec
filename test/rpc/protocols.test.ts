import { create, createRegistry, fromBinary } from "@bufbuild/protobuf";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createGrpcWebTransport as createBrowserTransport } from "@connectrpc/connect-web";
import { describe, expect, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import {
  RevocationService,
  WatchRevocationsRequestSchema,
  WatchRevocationsResponseSchema,
} from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import {
  BatchVerifyTokensRequestSchema,
  BatchVerifyTokensResponseSchema,
  TokenService,
  Verdict,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { statusFrom } from "../../src/rpc/connect-error.ts";
import { GatewayError } from "../../src/token/errors.ts";
import {
  eventually,
  type FakeGateway,
  type Fakes,
  failureOf,
  grpcClient,
  grpcUnary,
  grpcVerify,
  MAX_MESSAGE_BYTES,
  startFakeGateway,
} from "./fake-gateway.ts";

type Client = {
  readonly verify: (token: string, timeoutMs?: number) => Promise<{ verdict: Verdict }>;
  readonly watch: () => Promise<string[]>;
  readonly batch: (tokens: string[]) => Promise<unknown>;
  readonly close: () => void;
};

const jsonOptions = { registry: createRegistry(ErrorInfoSchema, RetryInfoSchema) };

const WATCH = "/m2mgateway.v1.RevocationService/WatchRevocations";
const BATCH = "/m2mgateway.v1.TokenService/BatchVerifyTokens";

/** Cursors received before the end; an error of the stream keeps them in its message's place. */
async function collect(stream: AsyncIterable<{ cursor: string }>): Promise<string[]> {
  const cursors: string[] = [];
  for await (const { cursor } of stream) cursors.push(cursor);
  return cursors;
}

function connectClient(transport: Transport): Client {
  const tokens = createClient(TokenService, transport);
  const revocations = createClient(RevocationService, transport);
  return {
    verify: (token, timeoutMs) => tokens.verifyToken({ token }, timeoutMs === undefined ? {} : { timeoutMs }),
    watch: () => collect(revocations.watchRevocations({})),
    batch: (list) => tokens.batchVerifyTokens({ tokens: list }),
    close: () => {},
  };
}

function stockGrpcClient({ server }: FakeGateway): Client {
  const client = grpcClient(server);
  return {
    verify: (token, timeoutMs) =>
      grpcVerify(client, token, timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }),
    watch: () =>
      new Promise((resolve, reject) => {
        const cursors: string[] = [];
        client
          .makeServerStreamRequest(
            WATCH,
            () => Buffer.alloc(0),
            (bytes: Buffer) => fromBinary(WatchRevocationsResponseSchema, bytes),
            create(WatchRevocationsRequestSchema),
          )
          .on("data", (message: { cursor: string }) => cursors.push(message.cursor))
          .on("error", reject)
          .on("end", () => resolve(cursors));
      }),
    batch: (tokens) =>
      grpcUnary(
        client,
        BATCH,
        [BatchVerifyTokensRequestSchema, BatchVerifyTokensResponseSchema],
        create(BatchVerifyTokensRequestSchema, { tokens }),
      ),
    close: () => client.close(),
  };
}

const CLIENTS: [string, (gateway: FakeGateway) => Client][] = [
  ["@grpc/grpc-js", stockGrpcClient],
  ["gRPC of connect-node", ({ server }) => connectClient(createGrpcTransport({ baseUrl: server.url }))],
  [
    "Connect JSON over HTTP/1.1",
    ({ server }) =>
      connectClient(
        createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false, jsonOptions }),
      ),
  ],
  [
    "Connect binary over HTTP/1.1",
    ({ server }) =>
      connectClient(createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: true })),
  ],
  [
    "Connect over HTTP/2",
    ({ server }) => connectClient(createConnectTransport({ baseUrl: server.url, httpVersion: "2" })),
  ],
  [
    "gRPC-Web over HTTP/1.1",
    ({ server }) => connectClient(createGrpcWebTransport({ baseUrl: server.url, httpVersion: "1.1" })),
  ],
  [
    "gRPC-Web over HTTP/2",
    ({ server }) => connectClient(createGrpcWebTransport({ baseUrl: server.url, httpVersion: "2" })),
  ],
  ["gRPC-Web of a browser", ({ server }) => connectClient(createBrowserTransport({ baseUrl: server.url }))],
];

describe.each(CLIENTS)("%s", (_name, connect) => {
  async function withClient<T>(fakes: Fakes, use: (client: Client, gateway: FakeGateway) => Promise<T>): Promise<T> {
    await using gateway = await startFakeGateway(fakes);
    const client = connect(gateway);
    try {
      return await use(client, gateway);
    } finally {
      client.close();
    }
  }

  it("gets the answer of a unary call, reported once as OK", async () => {
    await withClient({}, async (client, { reports }) => {
      expect((await client.verify("mt_1")).verdict).toBe(Verdict.VALID);
      expect(reports).toMatchObject([{ method: "VerifyToken", code: "OK", reason: undefined, error: undefined }]);
    });
  });

  it("gets a stream to its end, reported once as OK", async () => {
    const revocations = {
      async *watchRevocations() {
        yield { cursor: "e.1-0" };
        yield { cursor: "e.2-0" };
      },
    };
    await withClient({ revocations }, async (client, { reports }) => {
      expect(await client.watch()).toEqual(["e.1-0", "e.2-0"]);
      await eventually(() => reports.length > 0);
      expect(reports).toMatchObject([{ method: "WatchRevocations", code: "OK" }]);
    });
  });

  it("gets a domain error with its reason, facts, retry delay and violations", async () => {
    const verifyToken = async () => {
      throw new GatewayError("UPSTREAM_RATE_LIMITED", "slow down", {
        upstreamStatus: 429,
        upstreamCode: "too_many_requests",
        clerkTraceId: "abc",
        retryAfterMs: 1500,
        cursor: "e.1-0",
        violations: [{ field: "token", description: "is \ud800 odd" }],
      });
    };
    await withClient({ verifyToken }, async (client) => {
      expect(await failureOf(client.verify("mt_1"))).toEqual({
        code: Code.ResourceExhausted,
        message: "slow down",
        reason: "UPSTREAM_RATE_LIMITED",
        metadata: {
          upstream_status: "429",
          upstream_code: "too_many_requests",
          clerk_trace_id: "abc",
          cursor: "e.1-0",
        },
        violations: [{ field: "token", description: "is \ufffd odd" }],
        retryAfterSeconds: 1,
      });
    });
  });

  it("learns nothing of an unexpected error but that there was one", async () => {
    const verifyToken = async () => {
      throw new Error("password is hunter2");
    };
    await withClient({ verifyToken }, async (client, { reports }) => {
      const failure = await failureOf(client.verify("mt_1"));
      expect(failure).toMatchObject({ code: Code.Internal, reason: "INTERNAL", message: "internal error" });
      expect(reports).toMatchObject([{ code: "INTERNAL", error: { message: "password is hunter2" } }]);
    });
  });

  it("gets the error of a stream that fails half way", async () => {
    const revocations = {
      async *watchRevocations() {
        yield { cursor: "e.1-0" };
        throw new GatewayError("SLOW_CONSUMER", "too slow", { cursor: "e.1-0" });
      },
    };
    await withClient({ revocations }, async (client, { reports }) => {
      expect(await failureOf(client.watch())).toMatchObject({
        code: Code.ResourceExhausted,
        reason: "SLOW_CONSUMER",
        metadata: { cursor: "e.1-0" },
      });
      expect(reports).toMatchObject([{ code: "RESOURCE_EXHAUSTED", reason: "SLOW_CONSUMER" }]);
    });
  });

  it("is told which field breaks which rule", async () => {
    await withClient({}, async (client) => {
      expect(await failureOf(client.verify(""))).toMatchObject({
        code: Code.InvalidArgument,
        reason: "ARGUMENT_INVALID",
        violations: [{ field: "token" }],
      });
    });
  });

  it("is told that its message is too large", async () => {
    await withClient({}, async (client, { reports }) => {
      expect(await failureOf(client.verify("x".repeat(MAX_MESSAGE_BYTES + 1)))).toMatchObject({
        code: Code.ResourceExhausted,
        reason: "MESSAGE_TOO_LARGE",
      });
      expect(reports).toMatchObject([{ code: "RESOURCE_EXHAUSTED", reason: "MESSAGE_TOO_LARGE" }]);
      expect((await client.verify("mt_1")).verdict).toBe(Verdict.VALID);
    });
  });

  it("is told that the answer is too large", async () => {
    const verifyToken = async () => ({ verdict: Verdict.VALID, cursor: "x".repeat(MAX_MESSAGE_BYTES) });
    await withClient({ verifyToken }, async (client, { reports }) => {
      expect(await failureOf(client.verify("mt_1"))).toMatchObject({
        code: Code.ResourceExhausted,
        reason: "MESSAGE_TOO_LARGE",
      });
      expect(reports).toMatchObject([{ code: "RESOURCE_EXHAUSTED", reason: "MESSAGE_TOO_LARGE" }]);
    });
  });

  it("is told that a method does not exist", async () => {
    await withClient({}, async (client) => {
      expect(await failureOf(client.batch(["mt_1"]))).toMatchObject({
        code: Code.Unimplemented,
        reason: "UNIMPLEMENTED",
      });
    });
  });

  it("reads an error inside an answer with its details", async () => {
    const error = statusFrom(new GatewayError("OVERLOADED", "busy", { retryAfterMs: 2000 }));
    const tokens = {
      batchVerifyTokens: async () => ({ results: [{ result: { case: "error" as const, value: error } }] }),
    };
    await withClient({ tokens }, async (client) => {
      expect(await client.batch(["mt_1"])).toMatchObject({
        results: [{ result: { case: "error", value: { code: 8, message: "busy", details: [{}, {}] } } }],
      });
    });
  });

  it("gets DEADLINE_EXCEEDED from a handler that never answers", async () => {
    await withClient({ verifyToken: () => new Promise(() => {}) }, async (client, { reports }) => {
      // Long enough to reach the server on a busy machine: a call that ends before that is reported to nobody.
      expect(await failureOf(client.verify("mt_1", 2_000))).toMatchObject({ code: Code.DeadlineExceeded });
      await eventually(() => reports.length > 0);
      expect(["DEADLINE_EXCEEDED", "CANCELLED"]).toContain(reports[0]?.code);
      expect(reports).toHaveLength(1);
    });
  });
});
