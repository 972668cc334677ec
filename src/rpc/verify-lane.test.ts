import { Socket } from "node:net";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import {
  envelope,
  MAX_MESSAGE_BYTES,
  PATH,
  requestOf,
  SECRET,
  VerifyLaneFixture,
} from "../../test/rpc/verify-lane-fixture.ts";
import { BOUND_MS, createDomain, FlakyLog, TTL_MS } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { BILLING, secretOf, token, tokenId } from "../../test/support/tokens.ts";
import { Source, Verdict, VerifyTokenRequestSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { HeaderField } from "../http2/header-field.ts";
import { HpackDecoder } from "../http2/hpack-decoder.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { LaneReply } from "../http2/unary-lane.ts";
import type { Json, Token } from "../token/token.ts";

let fixture: VerifyLaneFixture;
beforeEach(async () => {
  fixture = new VerifyLaneFixture(await createDomain());
});

describe("the lane of VerifyToken answers as the handler does", () => {
  it.each<[string, Partial<Token>]>([
    ["a plain token", {}],
    ["every field", { expiresAtMs: 1_800_000_000_123, lastUsedAtMs: 1, updatedAtMs: 1_700_000_000_001, format: "jwt" }],
    ["no scopes", { scopes: [] }],
    ["several scopes", { scopes: [BILLING, BILLING] }],
    ["a reason, as a token revoked and restored would have", { revocationReason: "größer ✓" }],
    ...(
      [
        null,
        true,
        false,
        0,
        -1.5,
        1e300,
        "",
        "größer ✓ 𝄞",
        [],
        {},
        [1, [2, { a: null }]],
        { a: { b: [true] }, ü: "é" },
      ] as Json[]
    ).map((claims): [string, Partial<Token>] => [`claims ${JSON.stringify(claims)}`, { claims }]),
  ])("for %s", async (_what, fields) => {
    await fixture.observe(token(1, fields));
    expect(await fixture.same()).toMatchObject({ verdict: Verdict.VALID, source: Source.MEMORY });
    expect(await fixture.same()).toMatchObject({ verdict: Verdict.VALID, source: Source.MEMORY });
  });

  it("when the gateway is degraded, and when it is no longer", async () => {
    await fixture.observe(token(1));
    for (const degraded of [false, true, true, false]) {
      fixture.degraded = degraded;
      expect(await fixture.same()).toMatchObject({ verdict: Verdict.VALID, degraded });
    }
  });

  it("with the cursor of now, whatever was answered before", async () => {
    await fixture.observe(token(1));
    const before = await fixture.same();
    await fixture.revoke(2);
    const after = await fixture.same();
    expect(after.verdict).toBe(Verdict.VALID);
    expect(after.cursor).not.toBe(before.cursor);
  });

  it("once the token is revoked, at every place where that can be known", async () => {
    await fixture.observe(token(1));
    expect((await fixture.same()).verdict).toBe(Verdict.VALID);
    await fixture.revoke(1);
    expect(await fixture.same()).toMatchObject({
      verdict: Verdict.REVOKED,
      source: Source.FACT,
      token: { revoked: true },
    });
    await fixture.observe(token(3, { revoked: true, revocationReason: "leaked" }), secretOf(3));
    expect(await fixture.same(secretOf(3))).toMatchObject({ verdict: Verdict.REVOKED });
  });

  it("once the token has expired", async () => {
    await fixture.observe(token(1, { expiresAtMs: fixture.domain.clock.wallMs() + 5 }));
    expect((await fixture.same()).verdict).toBe(Verdict.VALID);
    fixture.domain.clock.advance(5);
    expect(await fixture.same()).toMatchObject({
      verdict: Verdict.EXPIRED,
      source: Source.MEMORY,
      token: { expired: true },
    });
  });

  it("to what the upstream refused, and to what cannot be a token", async () => {
    await fixture.observe(undefined);
    expect(await fixture.same()).toMatchObject({ verdict: Verdict.INVALID, source: Source.MEMORY });
    for (const odd of ["ak_live", "mt_", "a.b", `mt_${"x".repeat(300)}`]) {
      expect(await fixture.same(odd)).toMatchObject({ verdict: Verdict.INVALID, source: Source.LOCAL });
    }
  });

  it.each([
    ["none", {}],
    ["gzip", { "grpc-accept-encoding": "identity, gzip,deflate" }],
    ["others", { "grpc-accept-encoding": "identity,deflate" }],
    ["a timeout", { "grpc-timeout": "00000100m", "content-type": "application/grpc+proto" }],
  ])("with its header sections (accepted encodings: %s)", async (_what, headers) => {
    await fixture.observe(token(1));
    const { answer } = await fixture.handle(requestOf({ token: SECRET }), headers);
    const reply = fixture.lane.admit(headOf({ "content-type": "application/grpc", ...headers }), new Socket());
    expect(sectionsOf(reply)).toEqual({
      headers: [[":status", String(answer.status)], ...(answer.header ?? [])],
      trailers: [...(answer.trailer ?? [])],
    });
  });
});

describe("the lane of VerifyToken leaves to the handler", () => {
  it.each<[string, MessageInitShape<typeof VerifyTokenRequestSchema> | Uint8Array]>([
    ["an empty token, which is refused", { token: "" }],
    ["a maximal age", { maxAge: {} }],
    ["a cursor to reach", { minCursor: "a.1-0" }],
    ["a policy", { policy: {} }],
    ["text that is not ASCII", { token: "mt_é" }],
    ["a control character", { token: "mt_\n" }],
    ["a token longer than any", { token: `mt_${"x".repeat(16_400)}` }],
    ["bytes that are not UTF-8", envelope(Buffer.from([0x0a, 2, 0xc3, 0x28]))],
    ["an unknown field", envelope(Buffer.concat([plain(SECRET), Buffer.from([0x48, 1])]))],
    ["a token given twice", envelope(Buffer.concat([plain(SECRET), plain(SECRET)]))],
    ["another wire type", envelope(Buffer.from([0x08, 1, 0]))],
    ["a field cut short", envelope(plain(SECRET).subarray(0, -1))],
    ["a length of three bytes and more", envelope(Buffer.from([0x0a, 0x81, 0x80, 0x00, 0x61]))],
    ["a message without a field", envelope(Buffer.alloc(0))],
    ["no message", Buffer.alloc(0)],
    ["two messages", Buffer.concat([requestOf({ token: SECRET }), requestOf({ token: SECRET })])],
    ["a message cut short", requestOf({ token: SECRET }).subarray(0, -1)],
    ["half a head", Buffer.from([0, 0, 0])],
    ["a compressed message", Buffer.concat([Buffer.from([1]), requestOf({ token: SECRET }).subarray(1)])],
    ["a message larger than allowed", requestOf({ token: "x".repeat(MAX_MESSAGE_BYTES) })],
  ])("%s, counting nothing", async (_what, request) => {
    await fixture.observe(token(1));
    const before = fixture.domain.verifier.counts.rows();
    expect(
      fixture.ask(request instanceof Uint8Array ? request : requestOf({ token: SECRET, ...request })),
    ).toHaveLength(0);
    expect(fixture.domain.verifier.counts.rows()).toEqual(before);
  });

  it("what memory does not hold, or may not use any more", async () => {
    expect(fixture.verify(SECRET)).toBeUndefined();
    await fixture.observe(token(1));
    expect(fixture.verify(SECRET)?.verdict).toBe(Verdict.VALID);
    fixture.domain.verifier.invalidate({ tokenId: tokenId(1) });
    expect(fixture.verify(SECRET)).toBeUndefined();
    fixture.domain.clock.advance(1);
    await fixture.observe(token(1));
    fixture.domain.clock.advance(TTL_MS);
    expect(fixture.verify(SECRET)).toBeUndefined();
    expect(fixture.domain.upstream.verifies).toHaveLength(0);
  });

  it("everything but facts while the facts are not fresh", async () => {
    const flaky = new VerifyLaneFixture(await createDomain({ log: (clock) => new FlakyLog(clock) }));
    await flaky.observe(token(1));
    await flaky.observe(token(2), secretOf(2));
    await flaky.revoke(2);
    expect(flaky.verify(SECRET)?.verdict).toBe(Verdict.VALID);
    (flaky.domain.log as FlakyLog).reachable = false;
    flaky.domain.clock.advance(BOUND_MS + 1);
    await settle();
    expect(flaky.verify(SECRET)).toBeUndefined();
    expect(flaky.verify(secretOf(2))?.verdict).toBe(Verdict.REVOKED);
  });

  it("an answer larger than a message may be, and one that cannot be encoded", async () => {
    await fixture.observe(token(1, { claims: "x".repeat(MAX_MESSAGE_BYTES) }));
    let deep: Json = [];
    for (let level = 0; level < 50_000; level += 1) deep = [deep];
    await fixture.observe(token(2, { claims: deep, scopes: [] }), secretOf(2)).catch(() => undefined);
    const before = fixture.domain.verifier.counts.rows();
    for (const secret of [SECRET, SECRET, secretOf(2)]) expect(fixture.verify(secret)).toBeUndefined();
    expect(fixture.domain.verifier.counts.rows()).toEqual(before);
  });

  it.each<[string, Partial<RequestHead>, Record<string, string>]>([
    ["another method", { method: "GET" }, {}],
    ["JSON", {}, { "content-type": "application/grpc+json" }],
    ["gRPC-Web", {}, { "content-type": "application/grpc-web" }],
    ["Connect", {}, { "content-type": "application/proto" }],
    ["a content type with parameters", {}, { "content-type": "application/grpc; charset=utf-8" }],
    ["no content type", {}, { "content-type": "" }],
    ["compressed requests", {}, { "grpc-encoding": "gzip" }],
    ["an expectation", {}, { expect: "100-continue" }],
    ["a timeout of nothing", {}, { "grpc-timeout": "000S" }],
    ["a malformed timeout", {}, { "grpc-timeout": "1" }],
    ["two timeouts", {}, { "grpc-timeout": "1S, 2S" }],
    ["an empty timeout", {}, { "grpc-timeout": "" }],
  ])("heads with %s", (_what, head, headers) => {
    const asked = headOf({ "content-type": "application/grpc", ...headers }, head);
    expect(fixture.lane.admit(asked, new Socket())).toBeUndefined();
  });
});

describe("the lane of VerifyToken", () => {
  it("counts each answer once", async () => {
    await fixture.observe(token(1));
    const count = () =>
      fixture.domain.verifier.counts.rows().find(({ verdict, source }) => verdict === "valid" && source === "memory")
        ?.count;
    expect(count()).toBe(0);
    fixture.verify(SECRET);
    fixture.verify(SECRET);
    expect(count()).toBe(2);
  });

  it("passes on how many calls it answered, and for how long", () => {
    fixture.lane.answered(3, 0.25);
    expect(fixture.answered).toEqual([[3, 0.25]]);
  });
});

function plain(presented: string): Buffer {
  return Buffer.from(toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, { token: presented })));
}

function headOf(headers: Record<string, string>, more: Partial<RequestHead> = {}): RequestHead {
  const fields = Object.entries(headers).map(([name, value]) => ({
    name,
    value,
    size: name.length + value.length + 32,
  }));
  return { method: "POST", path: PATH, scheme: "http", authority: "gateway", fields, ...more };
}

function sectionsOf(reply: LaneReply | undefined) {
  return { headers: fieldsOf(reply?.headers), trailers: fieldsOf(reply?.trailers) };
}

function fieldsOf(block: Uint8Array = new Uint8Array()): [string, string][] {
  const fields: HeaderField[] = [];
  new HpackDecoder(0).decode(block, 0, block.length, fields, 65_536);
  return fields.map(({ name, value }) => [name, value]);
}
