import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Fault } from "../../src/emulator/faults.ts";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../src/gen/health/v1/health_pb.ts";
import { FreshnessState } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf } from "../rpc/fake-gateway.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";

const VERIFY = "m2m_tokens.verify";
const CREATE = "m2m_tokens.create";
const FROM_UPSTREAM = { verdict: Verdict.VALID, source: Source.UPSTREAM };

/** A request that is answered as `fault` says, for as long as it stands. */
interface Row {
  readonly title: string;
  readonly fault: Fault;
  readonly code: Code;
  readonly reason: string;
  /** Requests that one verification costs: a repeat can help, or it cannot. */
  readonly attempts: number;
}

const ROWS: Row[] = [
  { title: "500", fault: { status: 500 }, code: Code.Unavailable, reason: "UPSTREAM_UNAVAILABLE", attempts: 3 },
  { title: "503", fault: { status: 503 }, code: Code.Unavailable, reason: "UPSTREAM_UNAVAILABLE", attempts: 3 },
  { title: "a reset", fault: { reset: true }, code: Code.Unavailable, reason: "UPSTREAM_UNAVAILABLE", attempts: 3 },
  {
    title: "a web page",
    fault: { status: 200, body: "<html>hello</html>", content_type: "text/html" },
    code: Code.Unavailable,
    reason: "UPSTREAM_BAD_RESPONSE",
    attempts: 3,
  },
  {
    title: "half a JSON",
    fault: { body: '{"object":"machine_to_' },
    code: Code.Unavailable,
    reason: "UPSTREAM_BAD_RESPONSE",
    attempts: 3,
  },
  {
    title: "a body cut short",
    fault: { truncate: 40 },
    code: Code.Unavailable,
    reason: "UPSTREAM_BAD_RESPONSE",
    attempts: 3,
  },
  {
    title: "401 on the gateway's own key",
    fault: { code: "machine_secret_key_invalid", status: 401 },
    code: Code.Internal,
    reason: "UPSTREAM_CREDENTIAL_REJECTED",
    attempts: 1,
  },
  {
    title: "403",
    fault: { status: 403 },
    code: Code.PermissionDenied,
    reason: "UPSTREAM_FORBIDDEN",
    attempts: 1,
  },
];

describe("a verification that the upstream answers with", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture();
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  const strike = (fault: Fault) => fixture.emulator.control.faults.add({ route: VERIFY, ...fault });

  async function expectUndecided(secret: string, { code, reason, attempts }: Omit<Row, "title" | "fault">) {
    const before = fixture.verifyRequests();
    const failure = await failureOf(fixture.tokens.verifyToken({ token: secret }));
    expect(failure).toMatchObject({ code, reason });
    expect(fixture.verifyRequests() - before).toBe(attempts);
    expect(JSON.stringify(failure)).not.toContain(secret);
    // Nothing of it is cached, neither for nor against the token.
    fixture.emulator.control.faults.clear();
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject(FROM_UPSTREAM);
    expect(fixture.verifyRequests() - before).toBe(attempts + 1);
  }

  it.each(ROWS)("$title is undecided: $reason", async ({ fault, ...expected }) => {
    const { secret } = await fixture.mint();
    strike(fault);
    await expectUndecided(secret, expected);
  });

  it("a 200 that does not say whether the token is revoked is undecided", async () => {
    const { id, secret } = await fixture.mint();
    const { revoked: _, ...body } = await tokenBody(fixture, id);
    strike({ body: JSON.stringify(body) });
    await expectUndecided(secret, { code: Code.Unavailable, reason: "UPSTREAM_BAD_RESPONSE", attempts: 3 });
  });

  it("a 200 that says revoked is REVOKED, and the revocation is known from then on", async () => {
    const { id, secret } = await fixture.mint();
    strike({ body: JSON.stringify({ ...(await tokenBody(fixture, id)), revoked: true }), count: 1 });
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({ verdict: Verdict.REVOKED });
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject({ verdict: Verdict.REVOKED });
    await until(async () => (await fixture.revocations.listRevocations({})).revocations.length === 1);
    expect(fixture.verifyRequests()).toBe(1);
  });

  it("one 500 is asked again and VALID", async () => {
    const { secret } = await fixture.mint();
    strike({ status: 500, count: 1 });
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject(FROM_UPSTREAM);
    expect(fixture.verifyRequests()).toBe(2);
  });

  it("a 429 whose Retry-After fits the deadline is asked again and VALID", async () => {
    const { secret } = await fixture.mint();
    strike({ status: 429, headers: { "retry-after": "1" }, count: 1 });
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject(FROM_UPSTREAM);
    expect(fixture.verifyRequests()).toBe(2);
  });
});

describe("a gateway that waits for no more than half a second", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture({ env: { CLERK_TIMEOUT_MS: "500", CLERK_ATTEMPT_TIMEOUT_MS: "200" } });
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  it("passes a Retry-After on that does not fit, and asks again once it is over", async () => {
    const { secret } = await fixture.mint();
    const cached = await fixture.mint();
    await fixture.tokens.verifyToken({ token: cached.secret });
    fixture.emulator.control.requests.reset();
    fixture.emulator.control.faults.add({ route: VERIFY, status: 429, headers: { "retry-after": "2" }, count: 1 });
    expect(await failureOf(fixture.tokens.verifyToken({ token: secret }))).toMatchObject({
      code: Code.ResourceExhausted,
      reason: "UPSTREAM_RATE_LIMITED",
      retryAfterSeconds: 2,
      metadata: { upstream_status: "429" },
    });
    expect(await fixture.tokens.verifyToken({ token: cached.secret })).toMatchObject({ source: Source.MEMORY });
    // Until then the gateway does not ask, so as not to make it worse.
    const meanwhile = await failureOf(fixture.tokens.verifyToken({ token: secret }));
    expect(meanwhile).toMatchObject({ code: Code.ResourceExhausted, reason: "UPSTREAM_RATE_LIMITED" });
    expect(fixture.verifyRequests()).toBe(1);
    await until(async () => {
      const again = await fixture.tokens.verifyToken({ token: secret }).catch(() => undefined);
      return again?.verdict === Verdict.VALID && again.source === Source.UPSTREAM;
    });
  });

  it("answers DEADLINE_EXCEEDED when the upstream never does, and caches nothing of it", async () => {
    const { secret } = await fixture.mint();
    fixture.emulator.control.faults.add({ route: VERIFY, hang: true });
    expect(await failureOf(fixture.tokens.verifyToken({ token: secret }))).toMatchObject({
      code: Code.DeadlineExceeded,
      reason: "UPSTREAM_TIMEOUT",
    });
    fixture.emulator.control.faults.clear();
    expect(await fixture.tokens.verifyToken({ token: secret })).toMatchObject(FROM_UPSTREAM);
  });

  it.each<[string, Fault, Code]>([
    ["500", { status: 500 }, Code.Unavailable],
    ["429", { status: 429 }, Code.ResourceExhausted],
    ["a reset", { reset: true }, Code.Unavailable],
    ["a lost answer", { reset: true, execute: true }, Code.Unavailable],
    ["silence", { hang: true }, Code.DeadlineExceeded],
  ])("sends a creation that ends with %s exactly once", async (_title, fault, code) => {
    fixture.emulator.control.faults.add({ route: CREATE, ...fault });
    expect(await failureOf(fixture.tokens.createToken({}))).toMatchObject({ code });
    expect(fixture.emulator.control.requests.total(CREATE)).toBe(1);
  });
});

describe("while the upstream is down", () => {
  it("answers what it knows from memory, says that it is degraded, and recovers by itself", async () => {
    await using fixture = await startGatewayFixture();
    const cached = await fixture.mint();
    const unseen = await fixture.mint();
    await fixture.tokens.verifyToken({ token: cached.secret });
    fixture.emulator.control.faults.add({ id: "down", status: 503 });
    for (let failures = 0; failures < 3; failures += 1) {
      expect(await stateOf(fixture)).toBe(FreshnessState.SYNCED);
      expect(await failureOf(fixture.tokens.verifyToken({ token: unseen.secret }))).toMatchObject({
        code: Code.Unavailable,
      });
    }

    expect(await stateOf(fixture)).toBe(FreshnessState.DEGRADED);
    const { upstream } = await fixture.gateway.getStatus({});
    expect(upstream).toMatchObject({ reachable: false, lastFailureReason: "UPSTREAM_UNAVAILABLE" });
    expect(await fixture.tokens.verifyToken({ token: cached.secret })).toMatchObject({
      verdict: Verdict.VALID,
      source: Source.MEMORY,
      degraded: true,
    });
    for (const service of ["", "m2mgateway.v1.TokenService", "m2mgateway.freshness"]) {
      expect(await fixture.health.check({ service })).toMatchObject({ status: ServingStatus.SERVING });
    }
    const ready = await fetch(`${fixture.adminUrl}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ ready: true, detail: { state: "degraded" } });

    fixture.emulator.control.faults.clear();
    expect(await fixture.tokens.verifyToken({ token: unseen.secret })).toMatchObject({
      ...FROM_UPSTREAM,
      degraded: false,
    });
    expect(await stateOf(fixture)).toBe(FreshnessState.SYNCED);
  });
});

async function stateOf({ gateway }: GatewayFixture): Promise<FreshnessState | undefined> {
  return (await gateway.getStatus({})).freshness?.state;
}

/** The token as the upstream describes it. */
async function tokenBody({ emulator }: GatewayFixture, id: string): Promise<Record<string, unknown>> {
  const url = `${emulator.url}/m2m_tokens?subject=${emulator.machine("billing").id}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${emulator.instanceKey}` } });
  const { m2m_tokens } = (await response.json()) as { m2m_tokens: Record<string, unknown>[] };
  const found = m2m_tokens.find((token) => token.id === id);
  if (found === undefined) throw new Error("the upstream does not list the token");
  return found;
}
