import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import {
  BODY,
  CREATE,
  createRig,
  ID,
  INSTANCE_KEY,
  LIST,
  MACHINE_KEY,
  SECRET,
  SUBJECT,
} from "../../test/support/upstream/fixtures.ts";
import { json, problem, text } from "../../test/support/upstream/scripted-server.ts";
import { GatewayError, type Reason } from "../token/errors.ts";
import type { Upstream } from "../token/ports.ts";
import type { TokenId, TokenSecret } from "../token/token.ts";

const signal = new AbortController().signal;

const CALLS = {
  create: (upstream: Upstream) => upstream.createToken(CREATE, signal),
  list: (upstream: Upstream) => upstream.listTokens(LIST, signal),
  revoke: (upstream: Upstream) => upstream.revokeToken(ID, undefined, signal),
  verify: (upstream: Upstream) => upstream.verifyToken(SECRET, "known", signal),
} as const;

const ANSWERS = {
  create: json(201, { ...BODY, token: SECRET }),
  list: json(200, { m2m_tokens: [BODY], total_count: 1 }),
  revoke: json(200, { ...BODY, revoked: true }),
  verify: json(200, BODY),
} as const;

type Op = keyof typeof CALLS;
const OPS = ["create", "list", "revoke", "verify"] as const;

async function errorOf(promise: Promise<unknown>): Promise<GatewayError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GatewayError);
  return error as GatewayError;
}

describe("on the wire", () => {
  const common = { "clerk-api-version": "2026-05-12", accept: "application/json", "user-agent": "m2m-gateway" };

  it("creates with POST /v1/m2m_tokens, the machine key and only the fields given", async () => {
    await using rig = await createRig();
    rig.server.script(ANSWERS.create, ANSWERS.create);
    const created = await rig.upstream.createToken(CREATE, signal);
    expect(created).toMatchObject({ secret: SECRET, token: { id: ID, format: "opaque" } });
    const claims = JSON.parse('{"a":[1,null],"__proto__":{"b":true}}');
    await rig.upstream.createToken({ format: "jwt", ttlSeconds: 1.5, claims, minRemainingTtlSeconds: 0 }, signal);
    const [plain, full] = rig.server.seen;
    expect(plain).toMatchObject({
      method: "POST",
      path: "/v1/m2m_tokens",
      body: '{"token_format":"opaque"}',
      headers: { ...common, authorization: `Bearer ${MACHINE_KEY}`, "content-type": "application/json" },
    });
    expect(full?.body).toBe(
      '{"token_format":"jwt","seconds_until_expiration":1.5,"claims":{"a":[1,null],"__proto__":{"b":true}},"min_remaining_ttl_seconds":0}',
    );
  });

  it("verifies with POST /v1/m2m_tokens/verify and the machine key", async () => {
    await using rig = await createRig();
    rig.server.script(ANSWERS.verify, ANSWERS.verify);
    expect(await CALLS.verify(rig.upstream)).toMatchObject({ id: ID, subject: SUBJECT, format: "opaque" });
    const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtY2hfIn0.c2ln" as TokenSecret;
    expect(await rig.upstream.verifyToken(jwt, "unknown", signal)).toMatchObject({ format: "jwt" });
    expect(rig.server.seen[0]).toMatchObject({
      method: "POST",
      path: "/v1/m2m_tokens/verify",
      body: JSON.stringify({ token: SECRET }),
      headers: { ...common, authorization: `Bearer ${MACHINE_KEY}`, "content-type": "application/json" },
    });
  });

  it("lists with GET /v1/m2m_tokens and the instance key", async () => {
    await using rig = await createRig();
    rig.server.script(ANSWERS.list);
    expect(await CALLS.list(rig.upstream)).toMatchObject({ tokens: [{ id: ID }], totalCount: 1 });
    const [seen] = rig.server.seen;
    expect(seen).toMatchObject({
      method: "GET",
      path: `/v1/m2m_tokens?subject=${SUBJECT}&revoked=false&expired=false&limit=10&offset=0`,
      body: "",
      headers: { ...common, authorization: `Bearer ${INSTANCE_KEY}` },
    });
    expect(seen?.headers).not.toHaveProperty("content-type");
  });

  it("revokes with POST, the id URL-encoded, the instance key and a body even without a reason", async () => {
    await using rig = await createRig();
    rig.server.fallback = ANSWERS.revoke;
    expect(await CALLS.revoke(rig.upstream)).toMatchObject({ id: ID, revoked: true });
    const strange = await errorOf(rig.upstream.revokeToken("mt_a/../b?c#d e" as TokenId, "left", signal));
    expect(strange).toMatchObject({ reason: "UPSTREAM_BAD_RESPONSE" });
    expect(rig.server.seen[0]).toMatchObject({
      method: "POST",
      path: `/v1/m2m_tokens/${ID}/revoke`,
      body: "{}",
      headers: { ...common, authorization: `Bearer ${INSTANCE_KEY}`, "content-type": "application/json" },
    });
    expect(rig.server.seen[1]).toMatchObject({
      path: "/v1/m2m_tokens/mt_a%2F..%2Fb%3Fc%23d%20e/revoke",
      body: '{"revocation_reason":"left"}',
    });
  });

  it.each([
    ["/v1", "/v1/m2m_tokens/verify"],
    ["/v1/", "/v1/m2m_tokens/verify"],
    ["/clerk/", "/clerk/v1/m2m_tokens/verify"],
    ["/clerk/v1", "/clerk/v1/m2m_tokens/verify"],
  ])("accepts a base URL that ends in %s", async (path, expected) => {
    await using rig = await createRig({}, path);
    rig.server.script(ANSWERS.verify);
    await CALLS.verify(rig.upstream);
    expect(rig.server.seen[0]?.path).toBe(expected);
  });

  it("takes any 2xx for success", async () => {
    await using rig = await createRig();
    rig.server.script(json(200, { ...BODY, token: SECRET }), json(201, BODY));
    await CALLS.create(rig.upstream);
    expect(await CALLS.verify(rig.upstream)).toMatchObject({ id: ID });
  });
});

describe("keys", () => {
  it("uses the one key there is for everything that it can do", async () => {
    for (const [key, options] of [
      [MACHINE_KEY, { secretKey: undefined }],
      [INSTANCE_KEY, { machineSecretKey: undefined }],
    ] as const) {
      await using rig = await createRig(options);
      for (const op of ["list", "revoke", "verify"] as const) {
        rig.server.script(ANSWERS[op]);
        await CALLS[op](rig.upstream);
      }
      expect(rig.server.seen.map((seen) => seen.headers.authorization)).toEqual(Array(3).fill(`Bearer ${key}`));
    }
  });

  it("names the variable to set when the key is missing, and sends nothing", async () => {
    await using noMachine = await createRig({ machineSecretKey: undefined });
    const error = await errorOf(CALLS.create(noMachine.upstream));
    expect(error.reason).toBe("CREDENTIAL_MISSING");
    expect(error.message).toContain("set CLERK_MACHINE_SECRET_KEY");
    await using none = await createRig({ machineSecretKey: undefined, secretKey: undefined });
    for (const op of ["list", "revoke", "verify"] as const) {
      const missing = await errorOf(CALLS[op](none.upstream));
      expect(missing.reason).toBe("CREDENTIAL_MISSING");
      expect(missing.message).toContain("CLERK_MACHINE_SECRET_KEY or CLERK_SECRET_KEY");
    }
    expect([...noMachine.server.seen, ...none.server.seen]).toEqual([]);
  });

  it("scopes verdicts by base URL and verifying key, and reveals neither", async () => {
    const scopeOf = async (baseUrl: string, machineSecretKey?: string, secretKey?: string): Promise<string> => {
      await using rig = await createRig({ baseUrl, machineSecretKey, secretKey });
      return rig.upstream.verifyScope;
    };
    const scope = await scopeOf("https://api.clerk.com", MACHINE_KEY, INSTANCE_KEY);
    expect(scope).toMatch(/^[0-9a-f]{64}$/);
    expect(await scopeOf("https://api.clerk.com/v1/", MACHINE_KEY)).toBe(scope);
    const others = [
      await scopeOf("https://api.clerk.test", MACHINE_KEY),
      await scopeOf("https://api.clerk.com", `${MACHINE_KEY}x`),
      await scopeOf("https://api.clerk.com", undefined, INSTANCE_KEY),
      await scopeOf("https://api.clerk.com"),
    ];
    expect(new Set([scope, ...others]).size).toBe(5);
  });

  it.each([
    [{ baseUrl: "api.clerk.com" }],
    [{ baseUrl: "ftp://api.clerk.com" }],
    [{ baseUrl: "https://user:hunter2@api.clerk.com" }],
    [{ baseUrl: "https://api.clerk.com/?key=hunter2" }],
    [{ machineSecretKey: "hunter2\n" }],
    [{ secretKey: "" }],
  ])("refuses %j without repeating it", async (options) => {
    const built = createRig(options);
    await expect(built).rejects.toThrow(TypeError);
    await expect(built).rejects.not.toThrow("hunter2");
  });
});

describe("error table", () => {
  const everywhere: readonly (readonly [number, string, Reason])[] = [
    [401, "clerk_key_invalid", "UPSTREAM_CREDENTIAL_REJECTED"],
    [402, "unsupported_subscription_plan_features", "UPSTREAM_QUOTA_EXCEEDED"],
    [403, "authorization_invalid", "UPSTREAM_FORBIDDEN"],
    [403, "quota_exceeded", "UPSTREAM_QUOTA_EXCEEDED"],
    [409, "resource_locked", "UPSTREAM_CONFLICT"],
    [429, "too_many_requests", "UPSTREAM_RATE_LIMITED"],
    [301, "moved", "UPSTREAM_BAD_RESPONSE"],
    [307, "moved", "UPSTREAM_BAD_RESPONSE"],
    [405, "method_not_allowed", "UPSTREAM_BAD_RESPONSE"],
    [418, "teapot", "UPSTREAM_BAD_RESPONSE"],
    [500, "internal_clerk_error", "UPSTREAM_UNAVAILABLE"],
    [503, "service_unavailable", "UPSTREAM_UNAVAILABLE"],
    [504, "gateway_timeout", "UPSTREAM_UNAVAILABLE"],
    [529, "overloaded", "UPSTREAM_UNAVAILABLE"],
  ];
  const some: readonly (readonly [number, string, Reason, readonly Op[]])[] = [
    [404, "resource_not_found", "UPSTREAM_NOT_FOUND", ["list", "revoke"]],
    [404, "resource_not_found", "UPSTREAM_BAD_RESPONSE", ["create"]],
    ...[400, 413, 415, 422].map(
      (status) => [status, "bad", "UPSTREAM_REJECTED_REQUEST", ["create", "list", "revoke"]] as const,
    ),
    ...[413, 415, 422].map((status) => [status, "bad", "UPSTREAM_BAD_RESPONSE", ["verify"]] as const),
    [400, "api_version_invalid", "UPSTREAM_BAD_RESPONSE", ["verify"]],
    [400, "request_body_invalid", "UPSTREAM_BAD_RESPONSE", ["verify"]],
  ];
  const rows = [...everywhere.map((row) => [...row, OPS] as const), ...some];

  it.each(rows.flatMap(([status, code, reason, ops]) => ops.map((op) => [status, code, reason, op] as const)))(
    "%i %s is %s on %s",
    async (status, code, reason, op) => {
      await using rig = await createRig();
      rig.server.fallback = problem(status, code, { "x-clerk-trace-id": "0af7651916cd43dd", location: "/elsewhere" });
      const error = await errorOf(CALLS[op](rig.upstream));
      expect(error).toMatchObject({
        reason,
        facts: { upstreamStatus: status, upstreamCode: code, clerkTraceId: "0af7651916cd43dd" },
      });
      expect(rig.server.seen.some((seen) => seen.path.includes("elsewhere"))).toBe(false);
    },
  );

  it.each([
    [404, "resource_not_found"],
    [400, "bad_request"],
    [400, "anything_else"],
  ])("%i %s refuses the token that is verified", async (status, code) => {
    await using rig = await createRig();
    rig.server.script(problem(status, code));
    expect(await CALLS.verify(rig.upstream)).toBeUndefined();
    expect(rig.upstream.stats).toMatchObject({ verifications: 1, failures: { verify: 0 }, reachable: true });
  });

  it.each([
    ["HTML", text(404, "<html>not here</html>", { "content-type": "text/html" })],
    ["nothing", text(404, "")],
    ["other JSON", json(404, { error: "no such route" })],
    ["a 400 of HTML", text(400, "<html>bad request</html>")],
    [
      "an address it does not serve",
      json(404, { errors: [{ message: "URL not found", long_message: "", code: "x" }] }),
    ],
  ])("does not take a 404 or 400 with %s for a verdict", async (_name, reply) => {
    await using rig = await createRig();
    rig.server.fallback = reply;
    for (const op of ["verify", "revoke"] as const) {
      const error = await errorOf(CALLS[op](rig.upstream));
      expect(["UPSTREAM_BAD_RESPONSE", "UPSTREAM_REJECTED_REQUEST"]).toContain(error.reason);
      expect(op === "verify" && error.reason === "UPSTREAM_REJECTED_REQUEST").toBe(false);
    }
  });
});

describe("a signal shared by many calls", () => {
  it("carries no listener once they have ended", async () => {
    await using rig = await createRig();
    rig.server.fallback = ANSWERS.verify;
    const shared = new AbortController().signal;
    const warnings: Error[] = [];
    const note = (warning: Error): number => warnings.push(warning);
    process.on("warning", note);
    await Promise.all(Array.from({ length: 60 }, () => rig.upstream.verifyToken(SECRET, "known", shared)));
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", note);
    expect(getEventListeners(shared, "abort")).toEqual([]);
    expect(rig.clock.pendingTimers).toBe(0);
    expect(warnings).toEqual([]);
  });
});
