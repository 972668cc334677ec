import type { JsonValue } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TokenFormat, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf, type Hostile, mintAt, post, startHostile } from "../support/hostile-fixture.ts";

const CREATE = "/m2mgateway.v1.TokenService/CreateToken";
const VERIFY = "/m2mgateway.v1.TokenService/VerifyToken";

let hostile: Hostile;
beforeAll(async () => {
  hostile = await startHostile();
});
afterEach(async () => {
  expect(Reflect.get({}, "polluted")).toBeUndefined();
  expect(Object.keys(Object.prototype)).toEqual([]);
  await hostile.assertAlive();
});
afterAll(() => hostile[Symbol.asyncDispose]());

function valueFrom(json: JsonValue): Value {
  return fromJson(ValueSchema, json, { recursionLimit: 1000 });
}

function nested(levels: number, innermost: JsonValue): JsonValue {
  let json = innermost;
  for (let level = 1; level < levels; level++)
    json = level % 2 === 0 ? { ключ: json, "\u{1f600}": level } : [json, "ü"];
  return json;
}

function createRaw(claims: string): Promise<Response> {
  return post(hostile.gateway, CREATE, "application/json", `{"claims":${claims}}`);
}

async function claimsFromVerify(token: string): Promise<unknown> {
  const answer = await post(hostile.gateway, VERIFY, "application/json", JSON.stringify({ token }));
  const body: unknown = JSON.parse(await answer.text());
  expect(body).toMatchObject({ verdict: "VERDICT_VALID" });
  return Reflect.get(Reflect.get(Object(body), "token"), "claims");
}

describe("claims", () => {
  it.each<[string, JsonValue]>([
    ["ten levels deep with all kinds of letters", nested(10, { ß: '日本語 \u{1f1ec}\u{1f1ea} \u0000 \u2028 \\ "' })],
    ["thirty levels deep", nested(30, [])],
    ["null", null],
    ["a number at the edge", [Number.MAX_SAFE_INTEGER, -1.5e308, 5e-324, 0.1]],
    ["names of what objects inherit", { constructor: 1, toString: { hasOwnProperty: 2 }, valueOf: [], "": "" }],
    ["the bytes of a token's form", { token: "mt_notasecret", object: "x", revoked: false }],
  ])("(%s) come back exactly as they went", async (_what, claims) => {
    const { secret } = await hostile.clients.tokens.createToken({ claims: valueFrom(claims) });
    const stored = hostile.emulator.control.tokens().find((token) => token.secret === secret);
    expect(stored?.claims).toEqual(claims);
    if (claims !== null) expect(await claimsFromVerify(secret)).toEqual(claims);
    const { token } = await hostile.clients.tokens.verifyToken({ token: secret });
    if (claims !== null) expect(token?.claims).toEqual(valueFrom(claims));
  });

  it.each<[string, JsonValue]>([
    ["thirty-one levels deep", nested(31, [])],
    ["a mebibyte", "x".repeat(1024 * 1024)],
    ["a byte beyond 64 KiB", "x".repeat(64 * 1024 - 1)],
    ["64 KiB once encoded", "\u0000".repeat(11 * 1024)],
  ])("(%s) are INVALID_ARGUMENT naming the field, and nothing is minted", async (_what, claims) => {
    const before = hostile.emulator.control.tokens().length;
    const failure = await failureOf(hostile.clients.tokens.createToken({ claims: valueFrom(claims) }));
    expect(failure).toMatchObject({ code: "InvalidArgument", reason: "ARGUMENT_INVALID", fields: ["claims"] });
    expect(hostile.emulator.control.tokens()).toHaveLength(before);
  });

  it.each([
    '{"__proto__":{"polluted":true}}',
    '{"__proto__":null}',
    '{"__proto__":1}',
    '{"a":{"__proto__":{"polluted":true}}}',
    '[[{"b":[{"__proto__":[]}]}]]',
    String.raw`{"\u005f_proto__":{"polluted":true}}`,
  ])("with a key __proto__ (%s) are INVALID_ARGUMENT", async (claims) => {
    const answer = await createRaw(claims);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("__proto__");
  });

  it.each(["NaN", "Infinity", "1e400", "-1e400", "0x10", "{", '{"a":1,"a":2}', "01"])(
    "(%s) are refused as JSON",
    async (claims) => {
      expect((await createRaw(claims)).status).toBe(400);
    },
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    "with the number %d are INVALID_ARGUMENT over gRPC",
    async (value) => {
      const claims = valueFrom([0]);
      if (claims.kind.case === "listValue" && claims.kind.value.values[0] !== undefined) {
        claims.kind.value.values[0].kind = { case: "numberValue", value };
      }
      const failure = await failureOf(hostile.clients.tokens.createToken({ claims }));
      expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["claims"] });
    },
  );

  it.each(["iss", "sub", "exp", "nbf", "iat", "jti"])(
    "of a JWT with the reserved name %s are INVALID_ARGUMENT naming it",
    async (name) => {
      const call = hostile.clients.tokens.createToken({ format: TokenFormat.JWT, claims: valueFrom({ [name]: 1 }) });
      expect(await failureOf(call)).toMatchObject({
        code: "InvalidArgument",
        reason: "UPSTREAM_REJECTED_REQUEST",
        fields: [`claims.${name}`],
      });
    },
  );
});

describe("claims minted past the gateway", () => {
  it("with keys named __proto__ come out as data, in JSON and in binary", async () => {
    const claims = '{"__proto__":{"polluted":true},"a":{"__proto__":1},"b":2}';
    const { secret } = await mintAt(hostile.emulator, `{"claims":${claims}}`);
    const answer = await post(hostile.gateway, VERIFY, "application/json", JSON.stringify({ token: secret }));
    expect(await answer.text()).toContain(`"claims":${claims}`);

    const message = Buffer.concat([Buffer.from([0x0a, secret.length]), Buffer.from(secret)]);
    const binary = await post(hostile.gateway, VERIFY, "application/proto", message);
    const bytes = Buffer.from(await binary.arrayBuffer()).toString("latin1");
    expect(bytes.split("__proto__")).toHaveLength(3);
    expect(bytes).toContain("polluted");
  });

  it("cannot stand in for what a policy demands by being inherited", async () => {
    const { secret } = await mintAt(hostile.emulator, '{"claims":{"__proto__":{"role":"admin"}}}');
    const policy = { requiredClaims: { role: "admin" } };
    const answer = await hostile.clients.tokens.verifyToken({ token: secret, policy });
    expect(answer.verdict).toBe(Verdict.NOT_GRANTED);
    const inherited = { requiredClaims: { constructor: "x" } };
    expect((await hostile.clients.tokens.verifyToken({ token: secret, policy: inherited })).verdict).toBe(
      Verdict.NOT_GRANTED,
    );
  });

  it.each(['{"__proto__":1}', '{"__proto__":null}', '{"a":{"__proto__":{}}}'])(
    "are not compared with a policy of %s, which is refused",
    async (required) => {
      const { secret } = await hostile.mint();
      const body = `{"token":"${secret}","policy":{"requiredClaims":${required}}}`;
      const answer = await post(hostile.gateway, VERIFY, "application/json", body);
      expect(answer.status).toBe(400);
    },
  );
});
