import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Fault } from "../../src/emulator/faults.ts";
import { RevocationSource } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { eventually, failureOf, failuresOf, type Hostile, startHostile } from "../support/hostile-fixture.ts";

const SUBJECT = `mch_${"2".repeat(27)}`;
const GOOD = {
  object: "machine_to_machine_token",
  id: `mt_${"ab".repeat(16)}`,
  subject: SUBJECT,
  claims: null,
  scopes: [SUBJECT],
  revoked: false,
  revocation_reason: null,
  expired: false,
  expiration: null,
  last_used_at: null,
  created_at: 1_700_000_000_000,
  updated_at: 1_700_000_000_000,
};
const without = (name: keyof typeof GOOD) => ({ ...GOOD, [name]: undefined });
const text = JSON.stringify(GOOD);

let hostile: Hostile;
let made = 0;
beforeAll(async () => {
  const env = { CLERK_TIMEOUT_MS: "3000", CLERK_ATTEMPT_TIMEOUT_MS: "1500", CLERK_MAX_ATTEMPTS: "2" };
  hostile = await startHostile({ env });
});
afterEach(async () => {
  hostile.emulator.control.faults.clear();
  await hostile.assertAlive();
});
afterAll(() => hostile[Symbol.asyncDispose]());

function strike(fault: Fault): void {
  hostile.emulator.control.faults.add(fault);
}

/** A token that the gateway has never met. */
function stranger(): string {
  made += 1;
  return `mt_stranger${made}`;
}

async function cachedEntries(): Promise<readonly (bigint | undefined)[]> {
  const { cache } = await hostile.clients.gateway.getStatus({});
  return [cache?.knownEntries, cache?.refusedEntries];
}

/** Verifies while the fault lasts, and checks that nothing of it stays: no entry, and no verdict that outlives it. */
async function undecided(fault: Fault) {
  const before = await cachedEntries();
  const token = stranger();
  strike(fault);
  const failure = await failureOf(hostile.clients.tokens.verifyToken({ token }));
  hostile.emulator.control.faults.clear();
  expect(await cachedEntries()).toEqual(before);
  const after = await hostile.clients.tokens.verifyToken({ token });
  expect(after).toMatchObject({ verdict: Verdict.INVALID, source: Source.UPSTREAM });
  return failure;
}

describe("a 200 that is not a token's description", () => {
  const bodies: readonly [string, string][] = [
    ["a web page", "<!doctype html><title>Sign in</title>"],
    ["nothing", ""],
    ["half a JSON", text.slice(0, 150)],
    ["two JSONs", text + text],
    ["null", "null"],
    ["a list", `[${text}]`],
    ["an empty object", "{}"],
    ["an error", '{"errors":[{"code":"resource_not_found","message":"not found","long_message":"x"}]}'],
    ["without revoked", JSON.stringify(without("revoked"))],
    ["without expired", JSON.stringify(without("expired"))],
    ["without expiration", JSON.stringify(without("expiration"))],
    ["without id", JSON.stringify(without("id"))],
    ["without subject", JSON.stringify(without("subject"))],
    ["revoked as text", JSON.stringify({ ...GOOD, revoked: "false" })],
    ["revoked as a number", JSON.stringify({ ...GOOD, revoked: 0 })],
    ["revoked as null", JSON.stringify({ ...GOOD, revoked: null })],
    ["expired as null", JSON.stringify({ ...GOOD, expired: null })],
    ["of another object", JSON.stringify({ ...GOOD, object: "api_key" })],
    ["with an id of another kind", JSON.stringify({ ...GOOD, id: "api_abc" })],
    ["with a path for an id", JSON.stringify({ ...GOOD, id: "mt_../../etc" })],
    ["with scopes as text", JSON.stringify({ ...GOOD, scopes: SUBJECT })],
    ["with scopes of another kind", JSON.stringify({ ...GOOD, scopes: ["user_1"] })],
    ["with an expiration of 1e400", text.replace('"expiration":null', '"expiration":1e400')],
    ["with an expiration of 1.5e300", text.replace('"expiration":null', '"expiration":1.5e300')],
    ["with an expiration of -1", text.replace('"expiration":null', '"expiration":-1')],
    ["with an expiration as text", text.replace('"expiration":null', '"expiration":"1900000000000"')],
    ["created at -1", JSON.stringify({ ...GOOD, created_at: -1 })],
    ["with its fields on a prototype", `{"__proto__":${text}}`],
    ["with claims 100 deep", text.replace('"claims":null', `"claims":${"[".repeat(100)}${"]".repeat(100)}`)],
    ["of ten mebibytes", text + " ".repeat(10 * 1024 * 1024)],
  ];

  it.each(bodies)("(%s) is UPSTREAM_BAD_RESPONSE, is not cached, and is not quoted", async (_what, body) => {
    const failure = await undecided({ route: "m2m_tokens.verify", body });
    expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_BAD_RESPONSE" });
    expect(failure.metadata.upstream_status).toBe("200");
    expect(failure.message).not.toMatch(/Sign in|mt_|mch_|api_/);
  });

  it("is UPSTREAM_BAD_RESPONSE when it breaks off", async () => {
    const failure = await undecided({ route: "m2m_tokens.verify", body: text, truncate: 40 });
    expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_BAD_RESPONSE" });
  });

  it("to a revocation, about another token, is UPSTREAM_BAD_RESPONSE and no revocation", async () => {
    const { id, secret } = await hostile.mint();
    for (const body of [JSON.stringify({ ...GOOD, revoked: true }), JSON.stringify({ ...GOOD, id, revoked: false })]) {
      strike({ route: "m2m_tokens.revoke", body });
      const failure = await failureOf(hostile.clients.tokens.revokeToken({ target: { case: "tokenId", value: id } }));
      expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_BAD_RESPONSE" });
      hostile.emulator.control.faults.clear();
    }
    expect((await hostile.clients.revocations.listRevocations({})).revocations).toEqual([]);
    expect((await hostile.clients.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
  });

  it("to a list, of another machine's tokens, is UPSTREAM_BAD_RESPONSE", async () => {
    strike({ route: "m2m_tokens.list", body: JSON.stringify({ m2m_tokens: [GOOD], total_count: 1 }) });
    const subject = hostile.emulator.machine("billing").id;
    expect(await failureOf(hostile.clients.tokens.listTokens({ subject }))).toMatchObject({
      code: "Unavailable",
      reason: "UPSTREAM_BAD_RESPONSE",
    });
  });

  it.each(["-1", "1.5", "1e400", "9007199254740993", '"1"', "null"])(
    "to a list, counting %s, is none",
    async (count) => {
      strike({ route: "m2m_tokens.list", body: `{"m2m_tokens":[],"total_count":${count}}` });
      const subject = hostile.emulator.machine("billing").id;
      expect(await failureOf(hostile.clients.tokens.listTokens({ subject }))).toMatchObject({
        reason: "UPSTREAM_BAD_RESPONSE",
      });
    },
  );
});

describe("a status that decides nothing", () => {
  it.each([
    [301, "Unavailable", "UPSTREAM_BAD_RESPONSE"],
    [304, "Unavailable", "UPSTREAM_BAD_RESPONSE"],
    [401, "Internal", "UPSTREAM_CREDENTIAL_REJECTED"],
    [402, "ResourceExhausted", "UPSTREAM_QUOTA_EXCEEDED"],
    [403, "PermissionDenied", "UPSTREAM_FORBIDDEN"],
    [409, "Aborted", "UPSTREAM_CONFLICT"],
    [415, "Unavailable", "UPSTREAM_BAD_RESPONSE"],
    [418, "Unavailable", "UPSTREAM_BAD_RESPONSE"],
    [429, "ResourceExhausted", "UPSTREAM_RATE_LIMITED"],
    [500, "Unavailable", "UPSTREAM_UNAVAILABLE"],
    [503, "Unavailable", "UPSTREAM_UNAVAILABLE"],
    [599, "Unavailable", "UPSTREAM_UNAVAILABLE"],
  ])("(%i) is %s %s, never INVALID, and is not cached", async (status, code, reason) => {
    expect(await undecided({ route: "m2m_tokens.verify", status })).toMatchObject({ code, reason });
  });

  it.each([400, 404])("(%i of a stranger's making) is UPSTREAM_BAD_RESPONSE, never INVALID", async (status) => {
    const failure = await undecided({ route: "m2m_tokens.verify", status, body: "<h1>no such host</h1>" });
    expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_BAD_RESPONSE" });
  });

  it("(a reset connection) is UPSTREAM_UNAVAILABLE", async () => {
    const failure = await undecided({ route: "m2m_tokens.verify", reset: true });
    expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_UNAVAILABLE" });
  });

  it("(none, ever) is UPSTREAM_TIMEOUT", async () => {
    const failure = await undecided({ route: "m2m_tokens.verify", hang: true });
    expect(failure).toMatchObject({ code: "DeadlineExceeded", reason: "UPSTREAM_TIMEOUT" });
  });

  it("leaves a verdict from memory as it is", async () => {
    const { secret } = await hostile.mint();
    await hostile.clients.tokens.verifyToken({ token: secret });
    for (const status of [401, 403, 429, 500]) {
      strike({ id: "down", status });
      const answer = await hostile.clients.tokens.verifyToken({ token: secret });
      expect(answer).toMatchObject({ verdict: Verdict.VALID, source: Source.MEMORY });
    }
  });
});

describe("a 200 that says the token is dead", () => {
  it("(revoked) is REVOKED, a fact with source OBSERVED, and reaches a watcher", async () => {
    const dead = { ...GOOD, id: `mt_${"cd".repeat(16)}`, revoked: true, revocation_reason: "stolen" };
    const stop = new AbortController();
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const { event } of hostile.clients.revocations.watchRevocations({}, { signal: stop.signal })) {
        if (event.case === "revocation") seen.push(event.value);
      }
    })().catch(() => undefined);
    strike({ route: "m2m_tokens.verify", body: JSON.stringify(dead) });
    const answer = await hostile.clients.tokens.verifyToken({ token: stranger() });
    expect(answer).toMatchObject({ verdict: Verdict.REVOKED, source: Source.UPSTREAM });
    await eventually(() => seen.length > 0);
    stop.abort();
    await watching;
    expect(seen).toMatchObject([{ tokenId: dead.id, source: RevocationSource.OBSERVED, reason: "stolen" }]);
  });

  it.each([
    ["expired", { expired: true }],
    ["its expiration is past", { expiration: 1 }],
  ])("(%s) is EXPIRED", async (_what, more) => {
    strike({ route: "m2m_tokens.verify", body: JSON.stringify({ ...GOOD, ...more }) });
    const answer = await hostile.clients.tokens.verifyToken({ token: stranger() });
    expect(answer).toMatchObject({ verdict: Verdict.EXPIRED, source: Source.UPSTREAM });
  });

  it.each([0, 0.5, 8.64e15])("lives with the times %d", async (atMs) => {
    const body = JSON.stringify({ ...GOOD, created_at: atMs, updated_at: atMs, last_used_at: atMs });
    strike({ route: "m2m_tokens.verify", body });
    for (const protocol of ["grpc", "connectH1"] as const) {
      const answer = await hostile.on(protocol).tokens.verifyToken({ token: stranger() });
      expect(answer.verdict).toBe(Verdict.VALID);
    }
  });
});

describe("an upstream of one's own", () => {
  async function listen(handle: RequestListener) {
    const server = createServer(handle);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const close = () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    };
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, [Symbol.asyncDispose]: close };
  }

  it("that redirects is not followed, and where it points to hears nothing", async () => {
    let heard = 0;
    await using elsewhere = await listen((_request, response) => {
      heard += 1;
      response.end(text);
    });
    let status = 301;
    await using here = await listen((request, response) => {
      response.writeHead(status, { location: `${elsewhere.url}${request.url}` }).end();
    });
    await using gateway = await startHostile({ upstreamUrl: here.url });
    for (status of [301, 302, 303, 307, 308]) {
      const { tokens } = gateway.clients;
      const failures = await failuresOf(
        tokens.verifyToken({ token: stranger() }),
        tokens.createToken({}),
        tokens.listTokens({ subject: SUBJECT }),
        tokens.revokeToken({ target: { case: "tokenId", value: GOOD.id } }),
      );
      for (const failure of failures) {
        expect(failure).toMatchObject({ code: "Unavailable", reason: "UPSTREAM_BAD_RESPONSE" });
      }
    }
    expect(heard).toBe(0);
  });

  it("that sends a byte now and then is UPSTREAM_TIMEOUT", async () => {
    await using here = await listen((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const timer = setInterval(() => response.write(" "), 50);
      response.once("close", () => clearInterval(timer));
    });
    const env = { CLERK_TIMEOUT_MS: "1000", CLERK_ATTEMPT_TIMEOUT_MS: "1000" };
    await using gateway = await startHostile({ upstreamUrl: here.url, env });
    const failure = await failureOf(gateway.clients.tokens.verifyToken({ token: stranger() }));
    expect(failure).toMatchObject({ code: "DeadlineExceeded", reason: "UPSTREAM_TIMEOUT" });
  });
});
