import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { mint, raw } from "./raw-http.ts";

let emulator: Emulator;
const events: unknown[] = [];

beforeAll(async () => {
  emulator = await startEmulator({ log: (event) => events.push(event) });
});

beforeEach(() => emulator.reset());

afterAll(() => emulator.close());

const KEYS: Record<string, () => string | undefined> = {
  instance: () => emulator.instanceKey,
  billing: () => emulator.machine("billing").secretKey,
  none: () => undefined,
};

async function fail(key: string, line: string, body?: unknown, headers: Record<string, string> = {}) {
  return raw(emulator, line, { key: KEYS[key]?.() ?? (key === "none" ? undefined : key), body, headers });
}

it("every error body has the three texts and the trace id of the header", async () => {
  const { json, headers } = await fail("billing", "POST /m2m_tokens", { nope: 1 });
  expect(Object.keys(json).sort()).toEqual(["clerk_trace_id", "errors"]);
  expect(json.errors).toEqual([
    { message: "Bad Request", long_message: "Invalid 'body.nope': Unrecognized key", code: "bad_request" },
  ]);
  expect(json.clerk_trace_id).toBe(headers.get("x-clerk-trace-id"));
  expect(headers.get("content-type")).toBe("application/json");
});

describe("keys", () => {
  it.each([
    ["none", "POST /m2m_tokens", "authentication_invalid"],
    ["sk_test_nobody", "POST /m2m_tokens", "clerk_key_invalid"],
    ["mt_nobody", "POST /m2m_tokens", "clerk_key_invalid"],
    ["ak_nobody", "POST /m2m_tokens/verify", "machine_secret_key_invalid"],
    ["instance", "POST /m2m_tokens", "machine_secret_key_invalid"],
    ["billing", "GET /machines", "clerk_key_invalid"],
    ["billing", "GET /v1/jwks", "clerk_key_invalid"],
    ["none", "GET /no/such/path", "authentication_invalid"],
    ["sk_test_nobody", "GET /no/such/path", "clerk_key_invalid"],
  ])("%s for %s: 401 %s, before routing and validation", async (key, line, code) => {
    const body = line.startsWith("POST") ? "{ not json" : undefined;
    const answer = await fail(key, line, body);
    expect([answer.status, answer.codes]).toEqual([401, [code]]);
  });

  it("401 authorization_header_format_invalid for another scheme", async () => {
    const answer = await fail("none", "GET /machines", undefined, { authorization: "Basic abc" });
    expect([answer.status, answer.codes]).toEqual([401, ["authorization_header_format_invalid"]]);
  });
});

describe("requests", () => {
  it.each(["GET /no/such/path", "GET /v1", "GET /", "DELETE /m2m_tokens", "PUT /machines", "GET /m2m_tokens/verify/x"])(
    "404 for %s with a good key",
    async (line) => {
      const answer = await fail("instance", line);
      expect([answer.status, answer.codes]).toEqual([404, ["resource_not_found"]]);
      expect(answer.text).toContain("URL not found");
    },
  );

  it.each([
    ["header", "GET /machines", { "clerk-api-version": "2019-01-01" }],
    ["query", "GET /machines?__clerk_api_version=2019-01-01", {}],
    ["both", "GET /machines?__clerk_api_version=2026-05-12", { "clerk-api-version": "2026-05-12" }],
  ])("400 api_version_invalid for a bad version: %s", async (_, line, headers) => {
    const answer = await fail("instance", line, undefined, headers as Record<string, string>);
    expect([answer.status, answer.codes]).toEqual([400, ["api_version_invalid"]]);
  });

  it.each([{ "clerk-api-version": "2025-11-10" }, {}])("200 for a good version or none: %j", async (headers) => {
    expect((await fail("instance", "GET /machines", undefined, headers as Record<string, string>)).status).toBe(200);
  });

  it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])("415 for %s", async (type) => {
    const answer = await fail("billing", "POST /m2m_tokens", "{}", { "content-type": type });
    expect([answer.status, answer.codes]).toEqual([415, ["unsupported_content_type"]]);
    expect(answer.text).toContain(`Content-Type ${type} is unsupported. You should use application/json instead.`);
  });

  it.each(["{", "", "[]", '"text"', "null", "42"])("400 request_body_invalid for the body %j", async (body) => {
    const answer = await fail("billing", "POST /m2m_tokens", body);
    expect([answer.status, answer.codes]).toEqual([400, ["request_body_invalid"]]);
  });

  it("400 request_body_invalid for bytes that are not UTF-8", async () => {
    const response = await fetch(`${emulator.url}/m2m_tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${KEYS.billing?.()}`, "content-type": "application/json" },
      body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
    });
    expect(response.status).toBe(400);
  });

  it("413 above 1 MiB, and not at 1 MiB", async () => {
    const room = 1_048_576 - '{"claims":""}'.length;
    const fits = await fail("billing", "POST /m2m_tokens", `{"claims":"${"x".repeat(room)}"}`);
    expect(fits.status).toBe(201);
    const over = await fail("billing", "POST /m2m_tokens", `{"claims":"${"x".repeat(room + 1)}"}`);
    expect([over.status, over.codes]).toEqual([413, ["request_body_too_large"]]);
    expect(over.text).toContain("1048576 bytes");
    const vast = await fail("billing", "POST /m2m_tokens", "x".repeat(5_000_000));
    expect(vast.status).toBe(413);
  });
});

describe("m2m_tokens answers 400 naming each place that is wrong", () => {
  const CREATE: [unknown, string][] = [
    [{ scopes: [] }, "body.scopes"],
    [{ token_format: "paseto" }, "body.token_format"],
    [{ token_format: null }, "body.token_format"],
    [{ seconds_until_expiration: 0 }, "body.seconds_until_expiration"],
    [{ seconds_until_expiration: "60" }, "body.seconds_until_expiration"],
    [{ seconds_until_expiration: 1e300 }, "body.seconds_until_expiration"],
    [{ min_remaining_ttl_seconds: -1 }, "body.min_remaining_ttl_seconds"],
    [{ min_remaining_ttl_seconds: 1.5 }, "body.min_remaining_ttl_seconds"],
    [{ min_remaining_ttl_seconds: null }, "body.min_remaining_ttl_seconds"],
    [{ token_format: "jwt", claims: [1] }, "body.claims"],
  ];

  it.each(CREATE)("create %j", async (body, place) => {
    const answer = await fail("billing", "POST /m2m_tokens", body);
    expect([answer.status, answer.codes]).toEqual([400, ["bad_request"]]);
    expect(answer.text).toContain(`Invalid '${place}': `);
  });

  it("create with claims nested 100,000 deep", async () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const answer = await fail("billing", "POST /m2m_tokens", `{"claims":${deep}}`);
    expect([answer.status, answer.codes]).toEqual([400, ["bad_request"]]);
  });

  it("create with several problems at once", async () => {
    const body = { token_format: "x", seconds_until_expiration: -1, other: 1 };
    expect((await fail("billing", "POST /m2m_tokens", body)).codes).toHaveLength(3);
  });

  it.each([
    ["", "query_parameter.subject"],
    ["?subject=mch_short", "query_parameter.subject"],
    [`?subject=mch_${"x".repeat(27)}&limit=0`, "query_parameter.limit"],
    [`?subject=mch_${"x".repeat(27)}&limit=101`, "query_parameter.limit"],
    [`?subject=mch_${"x".repeat(27)}&limit=ten`, "query_parameter.limit"],
    [`?subject=mch_${"x".repeat(27)}&offset=-1`, "query_parameter.offset"],
    [`?subject=mch_${"x".repeat(27)}&revoked=maybe`, "query_parameter.revoked"],
  ])("list %s", async (query, place) => {
    const answer = await fail("instance", `GET /m2m_tokens${query}`);
    expect([answer.status, answer.codes]).toEqual([400, ["bad_request"]]);
    expect(answer.text).toContain(`Invalid '${place}': `);
  });

  it.each([
    ["short", {}, "Invalid 'url_parameter.m2m_token_id': Failed regex check"],
    [`mt_${"0".repeat(32)}`, { revocation_reason: 1 }, "Invalid 'body.revocation_reason'"],
    [`mt_${"0".repeat(32)}`, { reason: "x" }, "Invalid 'body.reason'"],
    [`mt_${"0".repeat(32)}`, undefined, "The request body is invalid"],
  ])("revoke %s with %j", async (id, body, text) => {
    const answer = await fail("instance", `POST /m2m_tokens/${id}/revoke`, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(text);
  });

  it.each([{}, { token: 1 }, { token: null }, { secret: "mt_x" }, { token: "mt_x", extra: 1 }])(
    "verify %j",
    async (body) => {
      expect((await fail("billing", "POST /m2m_tokens/verify", body)).status).toBe(400);
    },
  );

  it("404 for tokens and machines that do not exist", async () => {
    for (const answer of [
      await fail("instance", `POST /m2m_tokens/mt_${"0".repeat(32)}/revoke`, {}),
      await fail("instance", `GET /m2m_tokens?subject=mch_${"x".repeat(27)}`),
      await fail("billing", "POST /m2m_tokens/verify", { token: "" }),
      await fail("billing", "POST /m2m_tokens/verify", { token: "a.b.c" }),
      await fail("billing", "POST /m2m_tokens/verify", { token: "x".repeat(100_000) }),
      await fail("instance", `GET /machines/mch_${"x".repeat(27)}`),
    ]) {
      expect([answer.status, answer.codes]).toEqual([404, ["resource_not_found"]]);
    }
  });
});

describe("reserved claims", () => {
  it.each(["iss", "sub", "exp", "nbf", "iat", "jti"])("%s is refused in a JWT", async (claim) => {
    const body = { token_format: "jwt", claims: { [claim]: "x" } };
    const answer = await fail("billing", "POST /m2m_tokens", body);
    expect([answer.status, answer.codes]).toEqual([400, ["machine_token_reserved_claim"]]);
    expect(answer.text).toContain(`You can't use the reserved claim: '${claim}'`);
  });

  it("are ordinary claims in an opaque token, and below the top of a JWT's", async () => {
    expect((await fail("billing", "POST /m2m_tokens", { claims: { sub: "x" } })).status).toBe(201);
    const nested = { token_format: "jwt", claims: { user: { sub: "x" } } };
    expect((await fail("billing", "POST /m2m_tokens", nested)).status).toBe(201);
  });
});

describe("machines answers 422 naming each parameter that is wrong", () => {
  it.each([
    ["POST /machines", {}, "form_param_missing"],
    ["POST /machines", undefined, "form_param_missing"],
    ["POST /machines", { name: 5 }, "form_param_type_invalid"],
    ["POST /machines", { name: "x".repeat(256) }, "form_param_value_invalid"],
    ["POST /machines", { name: "x", color: "red" }, "form_param_unknown"],
    ["POST /machines", { name: "x", default_token_ttl: 315_360_001 }, "form_param_value_invalid"],
    ["POST /machines", { name: "x", default_token_ttl: "1" }, "form_param_type_invalid"],
    ["POST /machines", { name: "x", scoped_machines: "mch" }, "form_param_type_invalid"],
    ["POST /machines", { name: "x", scoped_machines: ["mch_unknown"] }, "form_param_value_invalid"],
    ["PATCH /machines/{id}", { scoped_machines: [] }, "form_param_unknown"],
    ["POST /machines/{id}/secret_key/rotate", {}, "form_param_missing"],
    ["POST /machines/{id}/secret_key/rotate", { previous_token_ttl: 28_801 }, "form_param_value_invalid"],
    ["POST /machines/{id}/scopes", {}, "form_param_missing"],
    ["POST /machines/{id}/scopes", { to_machine_id: 1 }, "form_param_type_invalid"],
    ["GET /machines?limit=501", undefined, "form_param_value_invalid"],
    ["GET /machines?order_by=age", undefined, "form_param_value_invalid"],
  ])("%s %j: %s", async (line, body, code) => {
    const answer = await fail("instance", line.replace("{id}", emulator.machine("billing").id), body);
    expect([answer.status, answer.codes]).toEqual([422, [code]]);
    expect(answer.json.errors).toMatchObject([{ meta: { param_name: expect.any(String) } }]);
  });

  it("422 for a 151st scope, 404 for a scope to no machine", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 151; i += 1) {
      ids.push(String((await fail("instance", "POST /machines", { name: `m${i}` })).json.id));
    }
    const scoped_machines = ids.slice(0, 150);
    const { json } = await fail("instance", "POST /machines", { name: "hub", scoped_machines });
    const line = `POST /machines/${json.id}/scopes`;
    expect((await fail("instance", line, { to_machine_id: ids[150] })).status).toBe(422);
    expect((await fail("instance", line, { to_machine_id: "mch_no" })).status).toBe(404);
    expect((await fail("instance", "POST /machines", { name: "x", scoped_machines: ids })).status).toBe(422);
  });
});

it("no key and no token is in any log event", async () => {
  events.length = 0;
  const { id, secret } = await mint(emulator, "billing");
  await fail("billing", `POST /m2m_tokens/${secret}/revoke`, {});
  await fail("billing", `GET /${secret}`);
  await fail("billing", `POST /m2m_tokens/${id}/revoke?token=${secret}`, {});
  await fail(`ak_${secret}`, "POST /m2m_tokens/verify", { token: secret });
  expect(events).toHaveLength(5);
  expect(events[0]).toEqual({
    method: "POST",
    path: "/m2m_tokens",
    status: 201,
    durationMs: expect.any(Number),
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  const logged = JSON.stringify(events);
  for (const text of [secret, ...emulator.machines().map(({ secretKey }) => secretKey), emulator.instanceKey]) {
    expect(logged).not.toContain(text);
  }
});
