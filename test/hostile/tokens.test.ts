import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEmulator } from "../../src/emulator/emulator.ts";
import {
  RevokeTokenRequestSchema,
  Source,
  Verdict,
  VerifyTokenRequestSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import {
  envelope,
  failureOf,
  failuresOf,
  type Hostile,
  mintAt,
  post,
  rawHttp2,
  reasonIn,
  startHostile,
} from "../support/hostile-fixture.ts";

const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";
const REVOKE = "/m2mgateway.v1.TokenService/RevokeToken";
const LONGEST = 16_384;

const ALG_NONE = ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJzdWIiOiJtY2hfMSJ9", "e30"].join(".");

/** What cannot be an M2M token, and so is not worth a question. */
const SHAPELESS: readonly [string, string][] = [
  ["one beyond the longest", `mt_${"a".repeat(LONGEST + 1 - 3)}`],
  ["a mebibyte", `mt_${"a".repeat(1024 * 1024)}`],
  ["a mebibyte of JWT", `e30.e30.${"a".repeat(1024 * 1024)}`],
  ["a header injection", "mt_x\r\nx: y"],
  ["a trailing line break", "mt_x\n"],
  ["NUL inside", "mt_x\u0000y"],
  ["a look-alike in Cyrillic", "mt_\u0430bc"],
  ["full-width letters", "\uff4dt_abc"],
  ["a right-to-left override", "mt_\u202eabc"],
  ["the prefix alone", "mt_"],
  ["with its scheme", "Bearer mt_abc"],
  ["a JWT whose signature is empty", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtY2hfMSJ9."],
  ["a JWT of five parts", "e30.e30.e30.e30.e30"],
  ["a machine key", "ak_0123456789abcdef"],
  ["white space", " "],
  ["a path", "mt_../../machines"],
];

let hostile: Hostile;
beforeAll(async () => {
  hostile = await startHostile();
});
afterAll(async () => {
  await hostile.assertAlive();
  await hostile[Symbol.asyncDispose]();
});

function verifications(): number {
  return hostile.emulator.control.requests.total("m2m_tokens.verify");
}

describe("what is no token", () => {
  it.each(SHAPELESS)("(%s) is INVALID without a question to the upstream", async (_what, token) => {
    const before = verifications();
    const answer = await hostile.clients.tokens.verifyToken({ token });
    expect(answer).toMatchObject({ verdict: Verdict.INVALID, source: Source.LOCAL });
    expect(answer.token).toBeUndefined();
    expect(verifications()).toBe(before);
  });

  it.each(SHAPELESS)("(%s) cannot be revoked: TOKEN_NOT_FOUND, without a question", async (_what, value) => {
    const before = verifications();
    const failure = await failureOf(hostile.clients.tokens.revokeToken({ target: { case: "token", value } }));
    expect(failure).toMatchObject({ code: "NotFound", reason: "TOKEN_NOT_FOUND" });
    if (value.length > 8) expect(failure.message).not.toContain(value.slice(3, 19));
    expect(verifications()).toBe(before);
  });

  it("is neither remembered as known nor as refused", async () => {
    const before = await hostile.clients.gateway.getStatus({});
    for (const [, token] of SHAPELESS) await hostile.clients.tokens.verifyToken({ token });
    const after = await hostile.clients.gateway.getStatus({});
    expect(after.cache?.knownEntries).toBe(before.cache?.knownEntries);
    expect(after.cache?.refusedEntries).toBe(before.cache?.refusedEntries);
  });
});

describe("an empty token", () => {
  it("is INVALID_ARGUMENT naming the field, to verify and to revoke", async () => {
    const { tokens } = hostile.clients;
    const revoke = tokens.revokeToken({ target: { case: "token", value: "" } });
    for (const failure of await failuresOf(tokens.verifyToken({}), revoke)) {
      expect(failure).toMatchObject({
        code: "InvalidArgument",
        reason: "ARGUMENT_INVALID",
        fields: ["token"],
      });
    }
  });

  it("in a batch is an answer", async () => {
    const { results } = await hostile.clients.tokens.batchVerifyTokens({ tokens: [""] });
    expect(results[0]?.result).toMatchObject({ case: "response", value: { verdict: Verdict.INVALID } });
  });
});

describe("a well-formed token of somewhere else", () => {
  it.each([
    ["made up", async () => "mt_0123456789abcdefghijklmnopqrstuvwxyz"],
    ["a token's id instead of its secret", async () => (await hostile.mint()).id],
    ["a JWT with alg none", async () => ALG_NONE],
    ["as long as a token may be", async () => `e30.e30.${"a".repeat(LONGEST - 8)}`],
    [
      "of another instance",
      async () => {
        const other = await startEmulator();
        const { secret } = await mintAt(other, {});
        await other.close();
        return secret;
      },
    ],
    [
      "a JWT of another instance",
      async () => {
        const other = await startEmulator();
        const { secret } = await mintAt(other, { token_format: "jwt" });
        await other.close();
        return secret;
      },
    ],
  ])("(%s) is INVALID by the upstream's word, then by memory's", async (_what, make) => {
    const token = await make();
    const { tokens } = hostile.clients;
    expect(await tokens.verifyToken({ token })).toMatchObject({ verdict: Verdict.INVALID, source: Source.UPSTREAM });
    expect(await tokens.verifyToken({ token })).toMatchObject({ verdict: Verdict.INVALID, source: Source.MEMORY });
    const failure = await failureOf(tokens.revokeToken({ target: { case: "token", value: token } }));
    expect(failure).toMatchObject({ code: "NotFound", reason: "TOKEN_NOT_FOUND" });
  });
});

describe("bytes that are no text", () => {
  const bad = Buffer.from([0x6d, 0x74, 0x5f, 0xff, 0xfe, 0xc0, 0xaf]);
  const field = (number: number) => Buffer.concat([Buffer.from([(number << 3) | 2, bad.length]), bad]);

  it.each([
    ["VerifyToken", VERIFY, field(1)],
    ["RevokeToken", REVOKE, field(2)],
    ["BatchVerifyTokens", "/m2mgateway.v1.TokenService/BatchVerifyTokens", field(1)],
  ])("in the token of %s are MALFORMED_REQUEST over gRPC and Connect", async (_rpc, path, message) => {
    const grpc = await rawHttp2(hostile.gateway, path, { "content-type": "application/grpc" }, envelope(message));
    expect(grpc.headers["grpc-status"]).toBe("3");
    const connect = await post(hostile.gateway, path, "application/proto", message);
    expect(connect.status).toBe(400);
    expect(reasonIn(await connect.text())).toBe("MALFORMED_REQUEST");
  });

  it.each([
    ["a lone surrogate", String.raw`mt_\ud800abc`],
    ["surrogates in the wrong order", String.raw`mt_\udc00\ud800`],
  ])("as JSON escapes (%s) are MALFORMED_REQUEST", async (_what, token) => {
    const answer = await post(hostile.gateway, VERIFY, "application/json", `{"token":"${token}"}`);
    expect(answer.status).toBe(400);
    expect(reasonIn(await answer.text())).toBe("MALFORMED_REQUEST");
  });

  it("as overlong UTF-8 inside JSON are not taken for what they would spell", async () => {
    const { secret } = await hostile.mint();
    // 0xc1 0xad is an overlong `m`.
    const body = Buffer.concat([
      Buffer.from('{"token":"'),
      Buffer.from([0xc1, 0xad]),
      Buffer.from(`${secret.slice(1)}"}`),
    ]);
    const answer = await post(hostile.gateway, VERIFY, "application/json", body);
    const text = await answer.text();
    expect(text).not.toContain("VERDICT_VALID");
    expect(text).not.toContain(secret.slice(3));
  });
});

describe("a message over the limit", () => {
  it("is MESSAGE_TOO_LARGE in every protocol", async () => {
    const request = { token: `mt_${"a".repeat(5 * 1024 * 1024)}` };
    const message = toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, request));
    for (const type of ["application/grpc", "application/grpc-web"]) {
      const { headers, body } = await rawHttp2(hostile.gateway, VERIFY, { "content-type": type }, envelope(message));
      expect(headers["grpc-status"] ?? body.toString("latin1")).toMatch(/^8$|grpc-status: 8/);
    }
    for (const [type, body] of [
      ["application/proto", message],
      ["application/json", JSON.stringify(request)],
    ] as const) {
      const answer = await post(hostile.gateway, VERIFY, type, body);
      expect(answer.status).toBe(429);
      expect(reasonIn(await answer.text())).toBe("MESSAGE_TOO_LARGE");
    }
  });
});

describe("a batch", () => {
  it("answers the good tokens beside any bad one", async () => {
    const [first, last] = [await hostile.mint(), await hostile.mint()];
    const bad = SHAPELESS.map(([, token]) => token).filter((token) => token.length <= LONGEST + 1);
    const request = { tokens: [first.secret, ...bad, ALG_NONE, last.secret] };
    for (const transport of ["grpc", "connectH1"] as const) {
      const { results } = await hostile.on(transport).tokens.batchVerifyTokens(request);
      const verdicts = results.map(({ result }) => (result.case === "response" ? result.value.verdict : undefined));
      expect(verdicts).toEqual([Verdict.VALID, ...bad.map(() => Verdict.INVALID), Verdict.INVALID, Verdict.VALID]);
    }
  });

  it("of 1,001 tokens is INVALID_ARGUMENT and asks nothing", async () => {
    const before = verifications();
    const tokens = Array.from({ length: 1001 }, (_, index) => `mt_many${index}`);
    const failure = await failureOf(hostile.clients.tokens.batchVerifyTokens({ tokens }));
    expect(failure).toMatchObject({ code: "InvalidArgument", reason: "ARGUMENT_INVALID", fields: ["tokens"] });
    expect(await failureOf(hostile.clients.tokens.batchVerifyTokens({}))).toMatchObject({ fields: ["tokens"] });
    expect(verifications()).toBe(before);
  });
});

describe("RevokeToken", () => {
  it.each(["mt_short", "mt_../../../machines/x/secret_key", "mt_0123456789012345678901234567890\u0000", "x"])(
    "refuses %j as an id",
    async (value) => {
      const failure = await failureOf(hostile.clients.tokens.revokeToken({ target: { case: "tokenId", value } }));
      expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["token_id"] });
    },
  );

  it("refuses a secret given as an id without repeating it", async () => {
    const { secret } = await hostile.mint();
    const body = toBinary(
      RevokeTokenRequestSchema,
      create(RevokeTokenRequestSchema, { target: { case: "tokenId", value: secret } }),
    );
    const answer = await post(hostile.gateway, REVOKE, "application/proto", body);
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain(secret.slice(3, 19));
    expect(hostile.lines.join("")).not.toContain(secret.slice(3, 19));
  });
});
