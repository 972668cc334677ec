import { describe, expect, it } from "vitest";
import { failureOf, refusesToken } from "./error-table.ts";
import type { HttpAnswer } from "./http-exchange.ts";
import type { Operation } from "./operation.ts";

const KEY = "test-key-without-a-prefix";

function answer(status: number, body: unknown, headers: HttpAnswer["headers"] = {}): HttpAnswer {
  return { status, headers, body: { text: typeof body === "string" ? body : JSON.stringify(body) } };
}

function errorFor(reply: HttpAnswer, operation: Operation = "create") {
  return failureOf(reply, { operation, secrets: [KEY], wallMs: Date.UTC(2026, 0, 1) }).error;
}

function rejection(longMessage: string, meta?: unknown, code = "form_param_value_invalid") {
  return answer(422, { errors: [{ message: "is invalid", long_message: longMessage, code, meta }] });
}

describe("rejected requests", () => {
  it("carry one violation for each parameter named, in the caller's names", () => {
    const errors = [
      { message: "m", long_message: "too big", code: "c", meta: { param_name: "seconds_until_expiration" } },
      { message: "m", long_message: "not so", code: "c", meta: { name: "limit" } },
      { message: "short only", code: "c", meta: { param_name: "claims" } },
      { message: "m", long_message: "reserved", code: "machine_token_reserved_claim", meta: { name: "exp" } },
      { message: "m", long_message: "unnamed", code: "c" },
      { message: "m", long_message: "odd", code: "c", meta: { name: "no\nname" } },
      "not an object",
    ];
    const error = errorFor(answer(400, { errors }));
    expect(error.reason).toBe("UPSTREAM_REJECTED_REQUEST");
    expect(error.message).toBe("the upstream rejected the request: too big");
    expect(error.facts.violations).toEqual([
      { field: "ttl", description: "too big" },
      { field: "page_size", description: "not so" },
      { field: "claims", description: "short only" },
      { field: "claims.exp", description: "reserved" },
    ]);
  });

  it("carry none when the body says nothing", () => {
    const error = errorFor(answer(413, "<html>too large</html>"));
    expect(error.message).toBe("the upstream rejected the request");
    expect(error.facts.violations).toEqual([]);
  });

  it.each([
    ["a token", "got mt_8XOIucKvqHVr5tYP123456789abcdefghij here"],
    ["a machine key", "key=ak_LCWGdaM8mv8K4PC/57IICZQXAeWfCgF30DZaFXHoGn9= is bad"],
    ["an instance key", "'sk_live_aaaaaaaaaaaa'"],
    ["a key glued to a word", "keysk_test_aaaaaaaaaaaa"],
    ["a JWT", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtY2hfIn0.c2lnbmF0dXJl"],
    ["a piece of a JWT", "eyJhbGciOiJSUzI1NiJ9"],
    ["a long run", "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4"],
    ["the key in use", `you sent ${KEY}`],
  ])("never repeat %s", (_name, text) => {
    const error = errorFor(rejection(text, { param_name: "claims" }));
    const shown = `${error.message} ${JSON.stringify(error.facts)}`;
    expect(shown).toContain("[redacted]");
    expect(shown).not.toMatch(/8XOI|LCWG|aaaaaa|eyJ|c2ln|Zm9v|test-key/);
  });

  it("repeat at most 200 characters, on one line", () => {
    const long = errorFor(rejection(`line\u0000one\r\n${"word ".repeat(100)}`, { name: "claims" }));
    const [violation] = long.facts.violations ?? [];
    expect(violation?.description).toMatch(/^line one word .*…$/);
    expect(violation?.description).toHaveLength(200);
    expect(errorFor(rejection("word ".repeat(1000))).message).toBe("the upstream rejected the request");
    // Throws when a surrogate pair was cut in two.
    encodeURIComponent(errorFor(rejection("😀".repeat(150))).message);
  });

  it("are read in linear time", () => {
    const error = errorFor(rejection("a".repeat(900_000), { name: "claims" }));
    expect(error.facts.violations).toEqual([{ field: "claims", description: "" }]);
  });
});

describe("other errors", () => {
  it("never repeat the upstream's text", () => {
    for (const status of [401, 402, 403, 404, 409, 418, 429, 500]) {
      const body = { errors: [{ message: "hunter2", long_message: "hunter2", code: "hunter_two" }] };
      const error = errorFor(answer(status, body), "list");
      expect(`${error.message} ${error.stack} ${JSON.stringify(error.facts)}`).not.toContain("hunter2");
      expect(error.facts.upstreamCode).toBe("hunter_two");
    }
  });

  it.each(["Upper", "with space", "x".repeat(65), "", "mt-1"])("leave out a code like %j", (code) => {
    expect(
      errorFor(answer(500, { errors: [{ message: "", long_message: "", code }] })).facts.upstreamCode,
    ).toBeUndefined();
  });

  it("take the trace id from the body, else from the headers, if it is of its form", () => {
    const errors = [{ message: "", long_message: "", code: "c" }];
    const headers = {
      "cf-ray": "8a1b2c3d4e5f6a7b-FRA",
      "x-clerk-trace-id": "0123456789abcdef0123456789abcdef",
      "clerk-trace-id": "fedcba9876543210fedcba9876543210",
    };
    const traceId = (body: unknown, from: HttpAnswer["headers"]) =>
      errorFor(answer(500, body, from)).facts.clerkTraceId;
    expect(traceId({ errors, clerk_trace_id: "00112233445566778899aabbccddeeff" }, headers)).toBe(
      "00112233445566778899aabbccddeeff",
    );
    expect(traceId({ errors, clerk_trace_id: "not an id" }, headers)).toBe("0123456789abcdef0123456789abcdef");
    expect(
      traceId("", { "cf-ray": "8a1b2c3d4e5f6a7b-FRA", "clerk-trace-id": ["fedcba9876543210fedcba9876543210", "ghi"] }),
    ).toBe("fedcba9876543210fedcba9876543210");
    expect(traceId("", { "cf-ray": "8a1b2c3d4e5f6a7b-FRA", "clerk-trace-id": "<script>" })).toBe(
      "8a1b2c3d4e5f6a7b-FRA",
    );
    expect(traceId("", { "cf-ray": "x".repeat(65) })).toBeUndefined();
  });

  it("carry Retry-After where it means something", () => {
    const retryAfter = (status: number, value: string) =>
      errorFor(answer(status, "", { "retry-after": value })).facts.retryAfterMs;
    expect(retryAfter(429, "7")).toBe(7000);
    expect(retryAfter(503, "Thu, 01 Jan 2026 00:00:09 GMT")).toBe(9000);
    expect(retryAfter(503, "Wed, 31 Dec 2025 00:00:00 GMT")).toBe(0);
    expect(retryAfter(429, "99999999999")).toBe(86_400_000);
    for (const odd of ["", "soon", "-1", "1.5", "1e3", "2026-01-01", "Mon, 99 Foo 2026 GMT"]) {
      expect(retryAfter(429, odd)).toBeUndefined();
    }
    expect(retryAfter(401, "7")).toBeUndefined();
  });

  it("survive a body of any shape", () => {
    for (const body of [
      "",
      "null",
      "[]",
      '{"errors":{}}',
      '{"errors":[]}',
      '{"errors":[null,1,{"code":1}]}',
      "{",
      "1e999",
    ]) {
      expect(errorFor(answer(500, body)).reason).toBe("UPSTREAM_UNAVAILABLE");
      expect(refusesToken(answer(404, body))).toBe(false);
    }
    expect(errorFor({ status: 500, headers: {}, body: { fault: "it broke off" } }).reason).toBe("UPSTREAM_UNAVAILABLE");
  });
});

describe("refusesToken", () => {
  const withCode = (status: number, code: string) =>
    answer(status, { errors: [{ message: "", long_message: "", code }] });

  it("is true of a 404 or a 400 about the token and of nothing else", () => {
    expect(refusesToken(withCode(404, "resource_not_found"))).toBe(true);
    expect(refusesToken(withCode(400, "bad_request"))).toBe(true);
    for (const status of [200, 301, 401, 403, 409, 410, 422, 429, 500]) {
      expect(refusesToken(withCode(status, "resource_not_found"))).toBe(false);
    }
  });

  it.each(["api_version_invalid", "request_body_invalid", "form_param_missing", "form_param_unknown"])(
    "is false of a 400 %s, which faults the request and not the token",
    (code) => expect(refusesToken(withCode(400, code))).toBe(false),
  );
});
