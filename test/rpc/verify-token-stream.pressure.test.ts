import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { createDomain, type Domain } from "../support/domain.ts";
import { settle } from "../support/fake-clock.ts";
import { until } from "../support/gateway-fixture.ts";
import { secretOf, token } from "../support/tokens.ts";
import {
  ask,
  envelopeOf,
  messageOf,
  RawStream,
  remember,
  revoke,
  SERVED,
  type StreamServer,
  serveStreams,
  verdictIn,
} from "./verify-stream-fixture.ts";

const MAX_MESSAGE_BYTES = 64 * 1024;
const GRPC_UNAVAILABLE = "14";

describe.each(SERVED)("VerifyTokenStream, served by the %s", (served) => {
  let domain: Domain;
  let server: StreamServer;
  beforeEach(async () => {
    domain = await createDomain();
    server = await serveStreams(domain, served, MAX_MESSAGE_BYTES);
  });
  afterEach(() => server[Symbol.asyncDispose]());

  it("reads no further while a thousand requests are undecided, and goes on as they are decided", async () => {
    const { upstream } = domain;
    using raw = new RawStream(server);
    raw.receive();
    for (let n = 0; n < 4_000; n += 1) raw.send(messageOf(ask(n, `mt_unknown_${n}_${"x".repeat(50)}`)));
    raw.stream.end();
    await until(() => upstream.verifies.length === 1_000);
    await settle();
    expect(upstream.verifies).toHaveLength(1_000);
    // What is not read stays in the client: its window is closed.
    expect(raw.stream.writableLength).toBeGreaterThan(0);
    for (let n = 0; n < 10; n += 1) upstream.nextVerify().resolve(undefined);
    await until(() => upstream.verifies.length === 1_000);
    await until(() => raw.answers.length === 10);
    await until(() => {
      for (const call of upstream.verifies.splice(0)) call.resolve(undefined);
      return raw.answers.length === 4_000;
    });
    await raw.ended;
    expect(new Set(raw.answers.map(({ id }) => id)).size).toBe(4_000);
    expect(raw.trailers["grpc-status"]).toBe("0");
  });

  it("reads a thousand requests of a client that reads nothing, however large they are", async () => {
    using raw = new RawStream(server, {}, 500);
    for (let n = 0; n < 1_000; n += 1) raw.send(messageOf(ask(n, `not-a-token-${"x".repeat(1_200)}`)));
    raw.stream.end();
    await until(() => raw.stream.writableLength === 0);
    raw.receive();
    await raw.ended;
    expect(raw.answers).toHaveLength(1_000);
    expect(raw.answers.every((answer) => verdictIn(answer) === Verdict.INVALID)).toBe(true);
  });

  it("stops reading once it holds a thousand answers that nobody takes, and loses none", async () => {
    await remember(domain, secretOf(1), token(1));
    const answered = () => domain.verifier.counts.rows().reduce((sum, { count }) => sum + count, 0);
    const before = answered();
    using raw = new RawStream(server, {}, 1_000);
    for (let n = 0; n < 20_000; n += 1) raw.send(messageOf(ask(n, secretOf(1))));
    raw.stream.end();
    await until(() => answered() - before >= 1_000);
    await settle();
    // Besides those that wait there are those whose bytes wait for the window.
    expect(answered() - before).toBeLessThan(1_600);
    expect(raw.stream.writableLength).toBeGreaterThan(0);
    raw.receive();
    await raw.ended;
    expect(new Set(raw.answers.map(({ id }) => id)).size).toBe(20_000);
  });

  it("answers what waited for a slow reader by the facts of the moment in which it is written", async () => {
    await remember(domain, secretOf(1), token(1));
    using raw = new RawStream(server, {}, 1_000);
    for (let n = 0; n < 1_000; n += 1) raw.send(messageOf(ask(n, secretOf(1))));
    raw.stream.end();
    const valid = () => domain.verifier.counts.rows().find(({ verdict, count }) => verdict === "valid" && count > 900);
    await until(() => valid() !== undefined);
    await revoke(domain, 1);
    raw.receive();
    await raw.ended;
    const verdicts = raw.answers.map((answer) => verdictIn(answer));
    expect(verdicts).toHaveLength(1_000);
    expect(verdicts.filter((verdict) => verdict === Verdict.REVOKED).length).toBeGreaterThan(500);
    const applied = raw.answers.flatMap(({ result }) => (result.case === "response" ? [result.value] : []));
    const [first, last] = [applied[0], applied.at(-1)];
    expect(last).toMatchObject({ verdict: Verdict.REVOKED, source: Source.FACT });
    expect(first?.cursor).not.toBe(last?.cursor);
    expect(applied.some(({ verdict, cursor }) => verdict === Verdict.VALID && cursor === last?.cursor)).toBe(false);
  });

  it("gives a slow reader the answers that were decided when the gateway shut down, then UNAVAILABLE", async () => {
    await remember(domain, secretOf(1), token(1));
    using raw = new RawStream(server, {}, 1_000);
    for (let n = 0; n < 500; n += 1) raw.send(messageOf(ask(n, secretOf(1))));
    raw.send(messageOf(ask(999, secretOf(2))));
    await until(() => domain.upstream.verifies.length === 1);
    const drained = server.gateway.server.drain(20_000);
    raw.receive();
    await raw.ended;
    await drained;
    expect(raw.answers).toHaveLength(500);
    expect(raw.trailers["grpc-status"]).toBe(GRPC_UNAVAILABLE);
    expect(domain.upstream.abortedCount).toBe(1);
  });

  it("ends well for a caller that asks nothing", async () => {
    using raw = new RawStream(server, { "grpc-accept-encoding": "gzip" });
    raw.receive();
    raw.stream.end();
    await raw.ended;
    expect(raw.headers).toMatchObject({ ":status": 200, "content-type": "application/grpc+proto" });
    expect(raw.headers["grpc-encoding"]).toBe("gzip");
    expect(Object.entries(raw.trailers)).toEqual([["grpc-status", "0"]]);
    expect(server.reports).toMatchObject([{ code: "OK" }]);
  });

  it.each([
    ["a compressed message", envelopeOf(messageOf(ask(1, "a")).subarray(5), 1), "13"],
    ["a message larger than allowed", messageOf(ask(1, "x".repeat(MAX_MESSAGE_BYTES))), "8"],
    ["the head of such a message", Buffer.from([0, 0xff, 0, 0, 0]), "8"],
    ["what is no message", envelopeOf(Buffer.from([0x12, 0xff])), "3"],
    ["a message cut short", messageOf(ask(1, "a")).subarray(0, -1), "3"],
    ["half a head", Buffer.from([0, 0, 0]), "3"],
  ])("refuses %s in the framework's way, and takes no more", async (_what, bytes, status) => {
    using raw = new RawStream(server);
    raw.receive();
    raw.send(messageOf(ask(7, "not a token")));
    await until(() => raw.answers.length === 1);
    raw.send(bytes);
    if (status === "3") raw.stream.end();
    await raw.ended;
    expect(raw.answers.map(({ id }) => id)).toEqual([7n]);
    expect(raw.trailers["grpc-status"]).toBe(status);
    const handler = await serveStreams(await createDomain(), "handler", MAX_MESSAGE_BYTES);
    try {
      using other = new RawStream(handler);
      other.receive();
      other.send(bytes);
      if (status === "3") other.stream.end();
      await other.ended;
      expect({ ...raw.trailers }).toEqual({ ...other.trailers });
      expect(server.reports).toMatchObject([{ code: handler.reports[0]?.code, reason: handler.reports[0]?.reason }]);
    } finally {
      await handler[Symbol.asyncDispose]();
    }
  });
});
