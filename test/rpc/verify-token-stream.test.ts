import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, createClient, createRouterTransport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
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
import { createDomain, type Domain } from "../support/domain.ts";
import { settle } from "../support/fake-clock.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { secretOf, token } from "../support/tokens.ts";
import { failureOf } from "./fake-gateway.ts";
import {
  ask,
  dependenciesOf,
  next,
  Outbox,
  reasonIn,
  remember,
  revoke,
  SERVED,
  type StreamRequest,
  type StreamServer,
  serveStreams,
  VERIFY_STREAM,
  verdictIn,
} from "./verify-stream-fixture.ts";

describe("VerifyTokenStream, in this process", () => {
  let domain: Domain;
  let client: Client<typeof TokenService>;
  let outbox: Outbox;
  beforeEach(async () => {
    domain = await createDomain();
    outbox = new Outbox();
    const verifyTokenStream = createVerifyTokenStream(dependenciesOf(domain, 2_000));
    const transport = createRouterTransport((router) => router.service(TokenService, { verifyTokenStream }), {
      router: { interceptors: [createValidateInterceptor()] },
    });
    client = createClient(TokenService, transport);
  });

  it("answers REVOKED for what was decided before the revoke and taken after it", async () => {
    await remember(domain, secretOf(1), token(1));
    const answers = client.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(1, secretOf(1)), ask(2, secretOf(1)));
    expect(verdictIn(await next(answers))).toBe(Verdict.VALID);
    await settle();
    await revoke(domain, 1);
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
});

describe.each(SERVED)("VerifyTokenStream, served by the %s", (served) => {
  let domain: Domain;
  let server: StreamServer;
  let outbox: Outbox;
  beforeEach(async () => {
    domain = await createDomain();
    server = await serveStreams(domain, served, 2_000);
    outbox = new Outbox();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  it("answers as it decides, not in the order of the requests, and ends after the last answer", async () => {
    await remember(domain, secretOf(2), token(2));
    const answers = server.tokens.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(11, secretOf(1)), ask(22, secretOf(2)));
    outbox.end();
    const first = await next(answers);
    expect([first.id, verdictIn(first)]).toEqual([22n, Verdict.VALID]);
    await until(() => domain.upstream.verifies.length === 1);
    domain.upstream.nextVerify().resolve(undefined);
    const second = await next(answers);
    expect([second.id, verdictIn(second)]).toEqual([11n, Verdict.INVALID]);
    expect((await answers.next()).done).toBe(true);
    expect(server.reports).toMatchObject([{ method: "VerifyTokenStream", protocol: "grpc", code: "OK" }]);
  });

  it("answers REVOKED once a revoke has been acknowledged", async () => {
    await remember(domain, secretOf(1), token(1));
    const answers = server.tokens.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(1, secretOf(1)));
    expect(verdictIn(await next(answers))).toBe(Verdict.VALID);
    await revoke(domain, 1);
    outbox.send(ask(2, secretOf(1)));
    expect(verdictIn(await next(answers))).toBe(Verdict.REVOKED);
    outbox.end();
  });

  it("keeps what is wrong with one request to its answer", async () => {
    await remember(domain, secretOf(1), token(1));
    await remember(domain, secretOf(2), token(2, { claims: "x".repeat(3_000) }));
    const answers = server.tokens.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    const bad: [StreamRequest, string][] = [
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
    const answers = server.tokens.verifyTokenStream(outbox, { signal: caller.signal })[Symbol.asyncIterator]();
    outbox.send(ask(1, secretOf(1)));
    const failure = failureOf(answers.next());
    await until(() => domain.upstream.verifies.length === 1);
    caller.abort();
    expect((await failure).code).toBe(Code.Canceled);
    await until(() => domain.upstream.abortedCount === 1);
    expect(domain.verifier.flightCount).toBe(0);
    await until(() => server.reports.length === 1);
    expect(server.reports).toMatchObject([{ code: "CANCELLED", reason: "CANCELED" }]);
  });

  it("ends with UNAVAILABLE when the gateway shuts down, taking back what is undecided", async () => {
    await remember(domain, secretOf(1), token(1));
    const answers = server.tokens.verifyTokenStream(outbox)[Symbol.asyncIterator]();
    outbox.send(ask(1, secretOf(1)), ask(2, secretOf(2)));
    expect(verdictIn(await next(answers))).toBe(Verdict.VALID);
    await until(() => domain.upstream.verifies.length === 1);
    const drained = server.gateway.server.drain(10_000);
    expect(await failureOf(answers.next())).toMatchObject({ code: Code.Unavailable, reason: "DRAINING" });
    await until(() => domain.upstream.abortedCount === 1);
    outbox.end();
    await drained;
    expect(server.reports).toMatchObject([{ code: "UNAVAILABLE", reason: "DRAINING" }]);
  });
});

describe("VerifyTokenStream, of a gateway", () => {
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
      VERIFY_STREAM,
      (request: StreamRequest) => Buffer.from(toBinary(schema, create(schema, request))),
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

  it("accepts no token on any stream once its revoke is acknowledged, however fast it is asked about", async () => {
    const minted = await Promise.all(Array.from({ length: 4 }, () => fixture.mint()));
    const streams = Array.from({ length: 3 }, () => new Prober(fixture.tokens, minted));
    const ended = streams.map((stream) => stream.run());
    for (const [n, { id }] of minted.entries()) {
      await until(() => streams.every((stream) => stream.validSince(n) > 30));
      await fixture.tokens.revokeToken({ target: { case: "tokenId", value: id } });
      for (const stream of streams) stream.noteRevoked(n);
      await until(() => streams.every((stream) => stream.refusedSince(n) > 30));
    }
    for (const stream of streams) stream.stop();
    await Promise.all(ended);
    expect(streams.map(({ violations }) => violations)).toEqual([0, 0, 0]);
  });
});

/** Asks about the same tokens over and over on one stream, many at a time. */
class Prober {
  readonly #client: Client<typeof TokenService>;
  readonly #secrets: readonly string[];
  readonly #outbox = new Outbox();
  readonly #revoked = new Set<number>();
  /** Of requests sent after the acknowledgement. */
  readonly #refused = new Map<number, number>();
  readonly #valid = new Map<number, number>();
  #sent = 0;
  #stopped = false;
  violations = 0;

  constructor(client: Client<typeof TokenService>, minted: readonly { readonly secret: string }[]) {
    this.#client = client;
    this.#secrets = minted.map(({ secret }) => secret);
  }

  async run(): Promise<void> {
    for (let n = 0; n < 64; n += 1) this.#send();
    for await (const answer of this.#client.verifyTokenStream(this.#outbox)) {
      this.#take(answer);
      if (!this.#stopped) this.#send();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#outbox.end();
  }

  noteRevoked(n: number): void {
    this.#revoked.add(n);
  }

  validSince(n: number): number {
    return this.#valid.get(n) ?? 0;
  }

  refusedSince(n: number): number {
    return this.#refused.get(n) ?? 0;
  }

  /** The id's lowest bit says whether the request left after the acknowledgement. */
  #send(): void {
    const n = this.#sent % this.#secrets.length;
    this.#sent += 1;
    this.#outbox.send(ask(2 * n + (this.#revoked.has(n) ? 1 : 0), this.#secrets[n] ?? ""));
  }

  #take(answer: VerifyTokenStreamResponse): void {
    const n = Math.floor(Number(answer.id) / 2);
    const wasRevoked = Number(answer.id) % 2 === 1;
    const isValid = verdictIn(answer) === Verdict.VALID;
    if (isValid && wasRevoked) this.violations += 1;
    const counts = isValid ? this.#valid : this.#refused;
    if (isValid || wasRevoked) counts.set(n, (counts.get(n) ?? 0) + 1);
  }
}
