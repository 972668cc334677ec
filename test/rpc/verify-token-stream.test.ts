import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, createClient, createRouterTransport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { Status } from "../../src/gen/google/rpc/status_pb.ts";
import {
  TokenService,
  Verdict,
  VerifyTokenRequestSchema,
  VerifyTokenStreamRequestSchema,
  type VerifyTokenStreamResponse,
  VerifyTokenStreamResponseSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { createValidateInterceptor } from "../../src/rpc/validate-interceptor.ts";
import { createVerifyTokenStream } from "../../src/rpc/verify-token-stream.ts";
import { createDomain, type Domain, verifyRequest } from "../support/domain.ts";
import { settle } from "../support/fake-clock.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { secretOf, token, tokenId } from "../support/tokens.ts";
import { failureOf } from "./fake-gateway.ts";

type Request = MessageInitShape<typeof VerifyTokenStreamRequestSchema>;

/** Requests that are sent when the test says so. */
class Outbox {
  readonly #requests: Request[] = [];
  #ended = false;
  #wake = () => {};
  taken = 0;

  send(...requests: Request[]): void {
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

function ask(id: number | bigint, presented: string): Request {
  return { id: BigInt(id), request: { token: presented } };
}

function verdictIn({ result }: VerifyTokenStreamResponse): Verdict | undefined {
  return result.case === "response" ? result.value.verdict : undefined;
}

function reasonIn({ result }: VerifyTokenStreamResponse): string | undefined {
  return result.case === "error" ? reasonOf(result.value) : undefined;
}

function reasonOf({ details }: Status): string | undefined {
  const info = details.find(({ typeUrl }) => typeUrl.endsWith("google.rpc.ErrorInfo"));
  return info && fromBinary(ErrorInfoSchema, info.value).reason;
}

async function next(answers: AsyncIterator<VerifyTokenStreamResponse>): Promise<VerifyTokenStreamResponse> {
  const result = await answers.next();
  if (result.done === true) throw new Error("the stream ended");
  return result.value;
}

describe("VerifyTokenStream, in this process", () => {
  let domain: Domain;
  let client: Client<typeof TokenService>;
  let outbox: Outbox;
  beforeEach(async () => {
    domain = await createDomain();
    outbox = new Outbox();
    const dependencies = {
      ...domain,
      isDegraded: () => false,
      maxMessageBytes: 2_000,
      watch: { heartbeatMs: 1, maxLag: 1 },
      watchers: { open: 0, cut: 0 },
      status: () => expect.unreachable(),
      freshness: () => expect.unreachable(),
    };
    const transport = createRouterTransport(
      (router) => router.service(TokenService, { verifyTokenStream: createVerifyTokenStream(dependencies) }),
      { router: { interceptors: [createValidateInterceptor()] } },
    );
    client = createClient(TokenService, transport);
  });

  async function remember(n: number, fields = {}): Promise<void> {
    const asked = domain.verifier.verify(verifyRequest(secretOf(n)));
    domain.upstream.nextVerify().resolve(token(n, fields));
    await asked;
  }

  it("answers as it decides, not in the order of the requests, and ends after the last answer", async () => {
    await remember(2);
    const answers = client.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(11, secretOf(1)), ask(22, secretOf(2)));
    outbox.end();
    const first = await next(answers);
    expect([first.id, verdictIn(first)]).toEqual([22n, Verdict.VALID]);
    domain.upstream.nextVerify().resolve(undefined);
    const second = await next(answers);
    expect([second.id, verdictIn(second)]).toEqual([11n, Verdict.INVALID]);
    expect((await answers.next()).done).toBe(true);
  });

  it("answers REVOKED for what was decided before the revoke and taken after it", async () => {
    await remember(1);
    const answers = client.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(1, secretOf(1)), ask(2, secretOf(1)));
    expect(verdictIn(await next(answers))).toBe(Verdict.VALID);
    await settle();
    const signal = new AbortController().signal;
    const request = { target: { tokenId: tokenId(1) }, reason: undefined, wait: "replica" as const, signal };
    const revoked = domain.revoker.revoke(request);
    domain.upstream.nextRevoke().resolve(token(1, { revoked: true }));
    await revoked;
    expect(verdictIn(await next(answers))).toBe(Verdict.REVOKED);
    outbox.end();
  });

  it("reads no further while a thousand requests are not answered or their answers not taken", async () => {
    const answers = client.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(...Array.from({ length: 3_000 }, (_, n) => ask(n, "not a token")));
    outbox.end();
    await next(answers);
    await settle();
    expect(outbox.taken).toBeGreaterThanOrEqual(1_000);
    expect(outbox.taken).toBeLessThanOrEqual(1_005);
    const ids = new Set<bigint>();
    for (let left = 2_999; left > 0; left -= 1) ids.add((await next(answers)).id);
    expect(ids.size).toBe(2_999);
    expect((await answers.next()).done).toBe(true);
  });

  it("keeps what is wrong with one request to its answer", async () => {
    await remember(1);
    await remember(2, { claims: "x".repeat(3_000) });
    const answers = client.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    const bad: [Request, string][] = [
      [ask(1, ""), "ARGUMENT_INVALID"],
      [{ id: 1n }, "ARGUMENT_INVALID"],
      [{ id: 1n, request: { token: secretOf(1), maxAge: { seconds: -1n } } }, "ARGUMENT_INVALID"],
      [{ id: 1n, request: { token: secretOf(1), minCursor: "no cursor" } }, "CURSOR_MALFORMED"],
      [{ id: 1n, request: { token: secretOf(1), minCursor: "other.1-0" } }, "CURSOR_OF_ANOTHER_LOG"],
      [ask(1, secretOf(2)), "MESSAGE_TOO_LARGE"],
    ];
    for (const [request, reason] of bad) {
      outbox.send(request);
      const answer = await next(answers);
      expect([answer.id, reasonIn(answer)]).toEqual([1n, reason]);
    }
    outbox.send(ask(2n ** 64n - 1n, secretOf(1)));
    const good = await next(answers);
    expect([good.id, verdictIn(good)]).toEqual([2n ** 64n - 1n, Verdict.VALID]);
    outbox.end();
  });

  it("takes back its questions when the caller leaves", async () => {
    const caller = new AbortController();
    const answers = client.verifyTokenStream(outbox, { signal: caller.signal })[Symbol.asyncIterator]();
    outbox.send(ask(1, secretOf(1)));
    const failure = failureOf(answers.next());
    await until(() => domain.upstream.verifies.length === 1);
    caller.abort();
    expect((await failure).code).toBe(Code.Canceled);
    await until(() => domain.upstream.abortedCount === 1);
    expect(domain.verifier.flightCount).toBe(0);
  });
});

describe("VerifyTokenStream, over the wire", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture();
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  it("ends with UNAVAILABLE when the gateway shuts down, having answered what it had decided", async () => {
    const { secret } = await fixture.mint();
    const outbox = new Outbox();
    const answers = fixture.tokens.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(1, secret));
    expect(verdictIn(await next(answers))).toBe(Verdict.VALID);
    const closed = fixture.close();
    expect(await failureOf(answers.next())).toMatchObject({ code: Code.Unavailable, reason: "DRAINING" });
    outbox.end();
    await closed;
  });

  it("ends when the caller's deadline passes", async () => {
    const outbox = new Outbox();
    const answers = fixture.tokens.verifyTokenStream(outbox, { timeoutMs: 50 })[Symbol.asyncIterator]();
    expect((await failureOf(answers.next())).code).toBe(Code.DeadlineExceeded);
    outbox.end();
  });

  it("serves a stock gRPC client that sends all at once", async () => {
    const minted = await Promise.all(Array.from({ length: 5 }, () => fixture.mint()));
    const client = new grpc.Client(new URL(fixture.url).host, grpc.credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    const schema = VerifyTokenStreamRequestSchema;
    const call = client.makeBidiStreamRequest(
      "/m2mgateway.v1.TokenService/VerifyTokenStream",
      (request: Request) => Buffer.from(toBinary(schema, create(schema, request))),
      (bytes: Buffer) => fromBinary(VerifyTokenStreamResponseSchema, bytes),
    );
    const received: VerifyTokenStreamResponse[] = [];
    call.on("data", (answer) => received.push(answer));
    const ended = new Promise<number>((resolve) => call.once("status", ({ code }) => resolve(code)));
    for (const [n, { secret }] of minted.entries()) call.write(ask(n, secret));
    call.write({ id: 99n, request: create(VerifyTokenRequestSchema, { token: "" }) });
    call.end();
    expect(await ended).toBe(grpc.status.OK);
    client.close();
    const ids = received.map(({ id }) => Number(id)).sort((a, b) => a - b);
    expect(ids).toEqual([0, 1, 2, 3, 4, 99]);
    expect(received.filter((answer) => verdictIn(answer) === Verdict.VALID)).toHaveLength(5);
  });
});
