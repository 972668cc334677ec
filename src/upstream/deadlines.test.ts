import { describe, expect, it } from "vitest";
import { eventually } from "../../test/support/upstream/fake-clock.ts";
import { BODY, CREATE, createRig, type Rig, SECRET } from "../../test/support/upstream/fixtures.ts";
import { json, problem, reset, silence } from "../../test/support/upstream/scripted-server.ts";
import { GatewayError } from "../token/errors.ts";
import type { Token } from "../token/token.ts";

const signal = new AbortController().signal;

function verify(rig: Rig, by: AbortSignal = signal): Promise<Token | undefined> {
  return rig.upstream.verifyToken(SECRET, "known", by);
}

async function errorOf(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof GatewayError)) {
    throw new Error("did not reject with a GatewayError");
  }
  return error;
}

describe("deadline", () => {
  it("ends each attempt and then the call, whose requests are all given up", async () => {
    await using rig = await createRig({ timeoutMs: 6000 });
    rig.server.fallback = silence;
    const failed = errorOf(verify(rig));
    for (const attempts of [1, 2]) {
      await eventually(() => rig.server.seen.length === attempts);
      rig.clock.advance(2500);
    }
    await eventually(() => rig.server.seen.length === 3);
    rig.clock.advance(999);
    expect(rig.upstream.stats.inFlight).toBe(1);
    rig.clock.advance(1);
    expect((await failed).reason).toBe("UPSTREAM_TIMEOUT");
    await eventually(() => rig.server.abandoned === 3);
    expect(rig.clock.pendingTimers).toBe(0);
  });

  it("counts an answer that comes at the second attempt", async () => {
    await using rig = await createRig();
    rig.server.script(silence, json(200, BODY));
    const token = verify(rig);
    await eventually(() => rig.server.seen.length === 1);
    rig.clock.advance(2500);
    expect(await token).toMatchObject({ id: BODY.id });
  });

  it("holds for a body that never ends", async () => {
    await using rig = await createRig({ maxAttempts: 1 });
    rig.server.fallback = (response) => void response.writeHead(200).write("{");
    const failed = errorOf(verify(rig));
    await eventually(() => rig.server.seen.length === 1);
    rig.clock.advance(2500);
    expect((await failed).reason).toBe("UPSTREAM_TIMEOUT");
  });

  it("does not wait for a repeat that could not begin before it", async () => {
    await using rig = await createRig({ random: () => 0.999, timeoutMs: 90 });
    rig.server.fallback = problem(500, "internal_clerk_error");
    expect((await errorOf(verify(rig))).reason).toBe("UPSTREAM_UNAVAILABLE");
    expect(rig.server.seen).toHaveLength(1);
  });

  it("counts the time in the queue, which is not held against the upstream", async () => {
    await using rig = await createRig({ maxConcurrency: 1, attemptTimeoutMs: 60_000 });
    rig.server.fallback = silence;
    const controller = new AbortController();
    const running = errorOf(verify(rig, controller.signal));
    const waiting = [1, 2, 3].map(() => errorOf(verify(rig)));
    await eventually(() => rig.server.seen.length === 1 && rig.upstream.stats.queued === 3);
    controller.abort();
    expect((await running).reason).toBe("CANCELED");
    await eventually(() => rig.server.seen.length === 2);
    rig.clock.advance(5000);
    expect((await Promise.all(waiting)).map((error) => error.reason)).toEqual(Array(3).fill("UPSTREAM_TIMEOUT"));
    expect(rig.upstream.stats).toMatchObject({ shed: 2, reachable: true, failures: { verify: 3 } });
  });
});

describe("cancellation", () => {
  it("rejects at once and gives the request up", async () => {
    await using rig = await createRig();
    rig.server.fallback = silence;
    const controller = new AbortController();
    const failed = errorOf(verify(rig, controller.signal));
    await eventually(() => rig.server.seen.length === 1);
    controller.abort(new Error("anything"));
    expect((await failed).reason).toBe("CANCELED");
    await eventually(() => rig.server.abandoned === 1);
    expect(rig.upstream.stats).toMatchObject({ inFlight: 0, failures: { verify: 0 }, lastFailureReason: undefined });
  });

  it("sends nothing for a signal that has aborted already", async () => {
    await using rig = await createRig();
    expect((await errorOf(verify(rig, AbortSignal.abort()))).reason).toBe("CANCELED");
    expect(rig.server.seen).toEqual([]);
  });

  it("ends the wait before a repeat", async () => {
    await using rig = await createRig({ random: () => 0.5 });
    rig.server.fallback = problem(500, "internal_clerk_error");
    const controller = new AbortController();
    const failed = errorOf(verify(rig, controller.signal));
    await eventually(() => rig.server.seen.length === 1 && rig.upstream.stats.inFlight === 0);
    controller.abort();
    expect((await failed).reason).toBe("CANCELED");
    expect(rig.clock.pendingTimers).toBe(0);
  });

  it("ends the wait for a turn", async () => {
    await using rig = await createRig({ maxConcurrency: 1 });
    rig.server.fallback = silence;
    const first = errorOf(verify(rig));
    const controller = new AbortController();
    const second = errorOf(verify(rig, controller.signal));
    await eventually(() => rig.upstream.stats.queued === 1);
    controller.abort();
    expect((await second).reason).toBe("CANCELED");
    expect(rig.upstream.stats.queued).toBe(0);
    await rig.upstream.close();
    expect((await first).reason).toBe("DRAINING");
  });
});

describe("Retry-After", () => {
  it.each([
    ["seconds", () => "2"],
    ["a date", (rig: Rig) => new Date(rig.clock.wallMs() + 2000).toUTCString()],
  ] as const)(
    "in %s is waited out when it fits in the time left, and holds every other call too",
    async (_form, value) => {
      await using rig = await createRig();
      rig.server.script(problem(429, "too_many_requests", { "retry-after": value(rig) }));
      rig.server.fallback = json(200, BODY);
      const first = verify(rig);
      await eventually(() => rig.server.seen.length === 1 && rig.upstream.stats.inFlight === 0);
      const second = verify(rig);
      await eventually(() => rig.upstream.stats.queued === 1);
      rig.clock.advance(1999);
      expect(rig.server.seen).toHaveLength(1);
      rig.clock.advance(1);
      expect(await Promise.all([first, second])).toMatchObject([{ id: BODY.id }, { id: BODY.id }]);
    },
  );

  it("beyond the deadline fails this call and, until it has passed, every other at once", async () => {
    await using rig = await createRig();
    rig.server.script(problem(429, "too_many_requests", { "retry-after": "30" }));
    rig.server.fallback = json(201, { ...BODY, token: SECRET });
    const expected = { reason: "UPSTREAM_RATE_LIMITED", facts: { upstreamStatus: 429, retryAfterMs: 30_000 } };
    expect(await errorOf(verify(rig))).toMatchObject(expected);
    rig.clock.advance(10_000);
    const refused = await errorOf(rig.upstream.createToken(CREATE, signal));
    expect(refused).toMatchObject({ reason: "UPSTREAM_RATE_LIMITED", facts: { retryAfterMs: 20_000 } });
    expect(rig.server.seen).toHaveLength(1);
    expect(rig.upstream.stats).toMatchObject({ shed: 1, reachable: true });
    rig.clock.advance(20_000);
    expect(await rig.upstream.createToken(CREATE, signal)).toMatchObject({ secret: SECRET });
  });

  it("of a 503 holds its own call only", async () => {
    await using rig = await createRig();
    rig.server.script(problem(503, "service_unavailable", { "retry-after": "30" }));
    rig.server.fallback = json(200, BODY);
    const expected = { reason: "UPSTREAM_UNAVAILABLE", facts: { retryAfterMs: 30_000 } };
    expect(await errorOf(verify(rig))).toMatchObject(expected);
    expect(await verify(rig)).toMatchObject({ id: BODY.id });
  });
});

describe("reachable", () => {
  it("is false after three unanswered calls in a row and true after any answer that decides", async () => {
    for (const answer of [json(200, BODY), problem(404, "resource_not_found"), problem(401, "clerk_key_invalid")]) {
      await using rig = await createRig({ maxAttempts: 1 });
      rig.server.script(problem(500, "x"), reset, problem(301, "x"), answer);
      for (const reachable of [true, true, false]) {
        await errorOf(verify(rig));
        expect(rig.upstream.stats.reachable).toBe(reachable);
      }
      expect(rig.upstream.stats.lastFailureReason).toBe("UPSTREAM_BAD_RESPONSE");
      await Promise.allSettled([verify(rig)]);
      expect(rig.upstream.stats.reachable).toBe(true);
    }
  });

  it("does not count calls that were cancelled or shed here", async () => {
    await using rig = await createRig({ maxConcurrency: 1, maxQueue: 0 });
    rig.server.fallback = silence;
    const controller = new AbortController();
    const running = errorOf(verify(rig, controller.signal));
    await eventually(() => rig.server.seen.length === 1);
    for (let i = 0; i < 4; i++) {
      expect((await errorOf(verify(rig))).reason).toBe("OVERLOADED");
    }
    controller.abort();
    await running;
    expect(rig.upstream.stats).toMatchObject({ reachable: true, shed: 4, lastFailureReason: "OVERLOADED" });
  });
});

it("ends what is under way with DRAINING when it is closed, and refuses what comes after", async () => {
  await using rig = await createRig();
  rig.server.fallback = silence;
  const running = errorOf(verify(rig));
  await eventually(() => rig.server.seen.length === 1);
  await rig.upstream.close();
  expect((await running).reason).toBe("DRAINING");
  expect((await errorOf(verify(rig))).reason).toBe("DRAINING");
  expect(rig.clock.pendingTimers).toBe(0);
});
