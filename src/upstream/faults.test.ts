import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { eventually } from "../../test/support/upstream/fake-clock.ts";
import {
  BODY,
  CREATE,
  createRig,
  ID,
  INSTANCE_KEY,
  LIST,
  MACHINE_KEY,
  type Rig,
  SECRET,
} from "../../test/support/upstream/fixtures.ts";
import {
  json,
  problem,
  type Reply,
  reset,
  silence,
  text,
  truncated,
} from "../../test/support/upstream/scripted-server.ts";
import { GatewayError } from "../token/errors.ts";
import type { Upstream } from "../token/ports.ts";
import type { Token } from "../token/token.ts";

const signal = new AbortController().signal;
const REPEATABLE = {
  list: (upstream: Upstream) => upstream.listTokens(LIST, signal),
  revoke: (upstream: Upstream) => upstream.revokeToken(ID, undefined, signal),
  verify: (upstream: Upstream) => upstream.verifyToken(SECRET, "known", signal),
} as const;

function verify(rig: Rig, by: AbortSignal = signal): Promise<Token | undefined> {
  return rig.upstream.verifyToken(SECRET, "unknown", by);
}

/** The error, once it is clear that it holds no secret anywhere. */
async function errorOf(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof GatewayError)) {
    throw new Error("did not reject with a GatewayError");
  }
  for (let link: unknown = error; link instanceof Error; link = link.cause) {
    const shown = `${link.message} ${link.stack} ${JSON.stringify(link)} ${Object.values(link).map((v) => JSON.stringify(v))}`;
    for (const secret of [MACHINE_KEY, INSTANCE_KEY, SECRET]) {
      expect(shown).not.toContain(secret);
    }
  }
  return error;
}

/** The body of a creation with one thing wrong: the secret must not get into the error. */
const MINTED = { ...BODY, token: SECRET };
const { revoked: _revoked, ...WITHOUT_REVOKED } = MINTED;
const { token: _token, ...WITHOUT_TOKEN } = MINTED;

const BAD_BODIES: readonly (readonly [string, Reply, string])[] = [
  ["HTML", text(200, `<html>${SECRET}</html>`, { "content-type": "application/json" }), "the body is not JSON"],
  ["half a JSON", text(200, JSON.stringify(MINTED).slice(0, -20)), "the body is not JSON"],
  ["a body that breaks off", truncated(200, JSON.stringify(MINTED)), "it broke off"],
  ["a body over the limit", text(200, JSON.stringify({ ...MINTED, pad: "x".repeat(1024 * 1024) })), "it is too large"],
  ["bytes that are not UTF-8", text(200, Buffer.from([0x22, 0xff, 0x22])), "it is not UTF-8"],
  ["nothing", text(204, ""), "the body is not JSON"],
  ["no revoked", json(200, WITHOUT_REVOKED), "revoked is missing"],
  ["another's id", json(200, { ...MINTED, id: SECRET }), "id is not of its form"],
  ["a number out of range", json(200, { ...MINTED, created_at: 1e300 }), "created_at is not a time"],
];

describe("a 200 with", () => {
  it.each(BAD_BODIES)("%s is no verdict", async (_name, reply, message) => {
    await using rig = await createRig();
    rig.server.fallback = reply;
    const error = await errorOf(verify(rig));
    expect(error.reason).toBe("UPSTREAM_BAD_RESPONSE");
    expect(error.message).toContain(message);
    expect(rig.server.seen).toHaveLength(3);
    expect(rig.upstream.stats).toMatchObject({ verifications: 0, retries: 2, requests: { verify: 3 } });
  });

  it.each([...BAD_BODIES, ["no token", json(201, WITHOUT_TOKEN), "token is missing"] as const])(
    "%s fails a creation, which is counted and not repeated",
    async (_name, reply, message) => {
      await using rig = await createRig();
      rig.server.fallback = reply;
      const error = await errorOf(rig.upstream.createToken(CREATE, signal));
      expect(error.reason).toBe("UPSTREAM_BAD_RESPONSE");
      expect(error.message).toContain(message);
      expect(rig.server.seen).toHaveLength(1);
      expect(rig.upstream.stats.creations).toBe(1);
    },
  );

  it("a token that is another one or not revoked fails a revocation", async () => {
    for (const body of [BODY, { ...BODY, revoked: true, id: `mt_${"0".repeat(32)}` }]) {
      await using rig = await createRig();
      rig.server.fallback = json(200, body);
      expect((await errorOf(REPEATABLE.revoke(rig.upstream))).reason).toBe("UPSTREAM_BAD_RESPONSE");
    }
  });
});

describe("what may be repeated", () => {
  const passing: readonly (readonly [string, Reply])[] = [
    ["a 500", problem(500, "internal_clerk_error")],
    ["a 503 cut short", truncated(503, "<html>")],
    ["a 429", problem(429, "too_many_requests")],
    ["a reset", reset],
    ["HTML", text(200, "<html>")],
    ["what is not HTTP", (_response, request) => void request.socket.end("SSH-2.0-OpenSSH\r\n\r\n")],
  ];
  it.each(passing)("is repeated after %s, up to the third attempt", async (_name, reply) => {
    for (const [op, call] of Object.entries(REPEATABLE)) {
      await using rig = await createRig();
      const good = {
        list: json(200, { m2m_tokens: [], total_count: 0 }),
        revoke: json(200, { ...BODY, revoked: true }),
      };
      rig.server.script(reply, reply, op === "verify" ? json(200, BODY) : good[op as "list" | "revoke"]);
      await call(rig.upstream);
      expect(rig.server.seen).toHaveLength(3);
      expect(rig.upstream.stats).toMatchObject({ retries: 2, failures: { [op]: 0 }, reachable: true });
      rig.server.fallback = reply;
      const { reason } = await errorOf(call(rig.upstream));
      expect(rig.server.seen).toHaveLength(6);
      expect(rig.upstream.stats.calls.filter(({ count }) => count > 0)).toEqual([
        { operation: op, outcome: "OK", count: 1 },
        { operation: op, outcome: reason, count: 1 },
      ]);
    }
  });

  it.each([401, 402, 403, 301, 409, 422])("is not repeated after a %i", async (status) => {
    await using rig = await createRig();
    rig.server.fallback = problem(status, "some_code");
    await errorOf(verify(rig));
    expect(rig.server.seen).toHaveLength(1);
  });

  it("waits a random part of a bound that doubles", async () => {
    await using rig = await createRig({ random: () => 0.5 });
    rig.server.fallback = problem(500, "internal_clerk_error");
    const failed = errorOf(verify(rig));
    for (const [attempts, waitMs] of [
      [1, 50],
      [2, 100],
    ] as const) {
      await eventually(() => rig.server.seen.length === attempts && rig.clock.pendingTimers === 2);
      await eventually(() => rig.upstream.stats.inFlight === 0);
      rig.clock.advance(waitMs - 1);
      expect(rig.upstream.stats.inFlight).toBe(0);
      rig.clock.advance(1);
    }
    await failed;
    expect(rig.server.seen).toHaveLength(3);
  });

  it("is repeated when nothing listens", async () => {
    await using rig = await createRig();
    await using other = await createRig({ baseUrl: rig.url });
    await rig.server.close();
    const error = await errorOf(verify(other));
    expect(error).toMatchObject({ reason: "UPSTREAM_UNAVAILABLE", cause: { message: "ECONNREFUSED" } });
    expect(other.upstream.stats).toMatchObject({ requests: { verify: 3 }, lastFailureReason: "UPSTREAM_UNAVAILABLE" });
  });
});

describe("a creation is sent exactly once", () => {
  it.each([
    ["a 500", problem(500, "internal_clerk_error")],
    ["a 429", problem(429, "too_many_requests", { "retry-after": "0" })],
    ["a reset", reset],
    ["an end of the connection", (_response, request) => void request.socket.destroy()],
  ] as readonly (readonly [string, Reply])[])("whatever happens: %s", async (_name, reply) => {
    await using rig = await createRig();
    rig.server.fallback = reply;
    await errorOf(rig.upstream.createToken(CREATE, signal));
    expect(rig.server.seen).toHaveLength(1);
    expect(rig.upstream.stats).toMatchObject({ requests: { create: 1 }, retries: 0, creations: 0 });
  });

  it("on a keep-alive connection that ends as it is written", async () => {
    await using rig = await createRig({ maxConcurrency: 1 });
    rig.server.script(json(200, BODY), reset);
    rig.server.fallback = json(201, MINTED);
    await verify(rig);
    const error = await errorOf(rig.upstream.createToken(CREATE, signal));
    expect(error.reason).toBe("UPSTREAM_UNAVAILABLE");
    expect(rig.server.seen.map((seen) => seen.path)).toEqual(["/v1/m2m_tokens/verify", "/v1/m2m_tokens"]);
    expect(rig.server.seen[1]?.socket).toBe(rig.server.seen[0]?.socket);
  });

  it("after its keep-alive connection was closed while idle", async () => {
    await using rig = await createRig({ maxConcurrency: 1 });
    rig.server.script(json(200, BODY));
    rig.server.fallback = json(201, MINTED);
    await verify(rig);
    const [first] = rig.server.seen;
    rig.server.closeIdleConnections();
    await eventually(() => first?.socket.destroyed === true);
    await rig.upstream.createToken(CREATE, signal);
    expect(rig.server.seen.filter((seen) => seen.path === "/v1/m2m_tokens")).toHaveLength(1);
  });

  it("and has the whole call's time", async () => {
    await using rig = await createRig();
    rig.server.fallback = silence;
    const failed = errorOf(rig.upstream.createToken(CREATE, signal));
    await eventually(() => rig.server.seen.length === 1);
    rig.clock.advance(4999);
    expect(rig.upstream.stats.inFlight).toBe(1);
    rig.clock.advance(1);
    expect((await failed).reason).toBe("UPSTREAM_TIMEOUT");
    expect(rig.server.seen).toHaveLength(1);
  });
});

it("keeps no listener and no timer whatever became of the calls", async () => {
  await using rig = await createRig({ maxConcurrency: 2, maxQueue: 1 });
  const shared = new AbortController();
  rig.server.script(problem(500, "x"), reset, problem(429, "x"), text(200, "<html>"));
  rig.server.fallback = json(200, BODY);
  await Promise.allSettled(Array.from({ length: 20 }, () => verify(rig, shared.signal)));
  rig.server.fallback = silence;
  const last = errorOf(verify(rig, shared.signal));
  await eventually(() => rig.upstream.stats.inFlight === 1);
  expect(getEventListeners(shared.signal, "abort")).toHaveLength(1);
  shared.abort();
  expect((await last).reason).toBe("CANCELED");
  expect(getEventListeners(shared.signal, "abort")).toEqual([]);
  expect(rig.clock.pendingTimers).toBe(0);
});
