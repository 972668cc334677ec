import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/upstream/fake-clock.ts";
import { canceled, type GatewayError } from "../token/errors.ts";
import type { Lane } from "../token/ports.ts";
import { Limiter, type LimiterOptions } from "./limiter.ts";

const NEVER = Number.POSITIVE_INFINITY;

function setup(options: Partial<LimiterOptions> = {}) {
  const clock = new FakeClock();
  const limiter = new Limiter({ maxConcurrency: 4, maxQueue: 8, maxRequestsPerSecond: 1000, clock, ...options });
  const started: string[] = [];
  const releases = new Map<string, () => void>();
  const errors = new Map<string, GatewayError>();
  const ask = async (
    name: string,
    lane: Lane,
    deadlineMs = NEVER,
    signal = new AbortController().signal,
  ): Promise<void> => {
    try {
      releases.set(name, await limiter.acquire(lane, deadlineMs, signal));
      started.push(name);
    } catch (error) {
      errors.set(name, error as GatewayError);
    }
  };
  const end = async (name: string): Promise<void> => {
    releases.get(name)?.();
    await settle();
  };
  return { clock, limiter, started, errors, ask, end };
}

/** Promise callbacks run, no time passes. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("concurrency", () => {
  it("starts no more at once than the cap and the next as soon as one ends", async () => {
    const { limiter, started, ask, end } = setup({ maxConcurrency: 2 });
    for (const name of ["a", "b", "c"]) {
      void ask(name, "known");
    }
    await settle();
    expect(started).toEqual(["a", "b"]);
    expect([limiter.inFlight, limiter.queued]).toEqual([2, 1]);
    await end("a");
    expect(started).toEqual(["a", "b", "c"]);
  });

  it("keeps a quarter of the places for the known lane", async () => {
    const { started, ask } = setup();
    for (const name of ["u1", "u2", "u3", "u4"]) {
      void ask(name, "unknown");
    }
    void ask("k1", "known");
    await settle();
    expect(started).toEqual(["u1", "u2", "u3", "k1"]);
  });

  it("lets the known lane go first whoever came first", async () => {
    const { started, ask, end } = setup({ maxConcurrency: 1 });
    void ask("first", "unknown");
    void ask("unknown", "unknown");
    void ask("known", "known");
    await settle();
    await end("first");
    await end("known");
    expect(started).toEqual(["first", "known", "unknown"]);
  });

  it("counts a place given back twice once", async () => {
    const { limiter, ask, end } = setup();
    void ask("a", "known");
    await settle();
    await end("a");
    await end("a");
    expect(limiter.inFlight).toBe(0);
  });
});

describe("queue", () => {
  it("answers OVERLOADED with a time to come back when it is full", async () => {
    const { errors, ask } = setup({ maxConcurrency: 1, maxQueue: 2, maxRequestsPerSecond: 10 });
    for (const name of ["a", "b", "c", "d"]) {
      void ask(name, "known");
    }
    await settle();
    expect([...errors.keys()]).toEqual(["d"]);
    expect(errors.get("d")).toMatchObject({ reason: "OVERLOADED", facts: { retryAfterMs: 200 } });
  });

  it("keeps a quarter of its room for the known lane", async () => {
    const { limiter, errors, ask } = setup({ maxConcurrency: 1, maxQueue: 4 });
    void ask("running", "known");
    for (const name of ["u1", "u2", "u3", "u4"]) {
      void ask(name, "unknown");
    }
    void ask("k1", "known");
    await settle();
    expect([...errors.keys()]).toEqual(["u4"]);
    expect(limiter.queued).toBe(4);
  });

  it("holds nobody when its room is zero, and starts whoever has a place", async () => {
    const { started, errors, ask } = setup({ maxConcurrency: 1, maxQueue: 0 });
    void ask("a", "unknown");
    void ask("b", "known");
    await settle();
    expect(started).toEqual(["a"]);
    expect(errors.get("b")?.reason).toBe("OVERLOADED");
  });

  it("loses an entry at once when its signal aborts, and the place goes to the next", async () => {
    const { limiter, started, errors, ask, end } = setup({ maxConcurrency: 1 });
    const controller = new AbortController();
    void ask("a", "known");
    void ask("b", "known", NEVER, controller.signal);
    void ask("c", "known");
    await settle();
    controller.abort(canceled());
    await settle();
    expect(errors.get("b")?.reason).toBe("CANCELED");
    expect(limiter.queued).toBe(1);
    await end("a");
    expect(started).toEqual(["a", "c"]);
  });

  it("does not start an entry whose deadline has passed", async () => {
    const { clock, started, errors, ask, end } = setup({ maxConcurrency: 1 });
    void ask("a", "known");
    void ask("late", "known", clock.monotonicMs() + 50);
    void ask("c", "known");
    await settle();
    clock.advance(50);
    await end("a");
    expect(errors.get("late")?.reason).toBe("UPSTREAM_TIMEOUT");
    expect(started).toEqual(["a", "c"]);
  });
});

describe("rate", () => {
  it("starts one second's worth at once and then one per interval", async () => {
    const { clock, started, ask } = setup({ maxConcurrency: 100, maxQueue: 100, maxRequestsPerSecond: 4 });
    for (let i = 0; i < 10; i++) {
      void ask(String(i), "known");
    }
    await settle();
    expect(started).toHaveLength(4);
    clock.advance(249);
    await settle();
    expect(started).toHaveLength(4);
    clock.advance(1);
    await settle();
    expect(started).toHaveLength(5);
    clock.advance(1250);
    await settle();
    expect(started).toHaveLength(10);
    expect(clock.pendingTimers).toBe(0);
  });

  it("saves up no more than one second's worth", async () => {
    const { clock, started, ask } = setup({ maxConcurrency: 100, maxQueue: 100, maxRequestsPerSecond: 4 });
    clock.advance(3_600_000);
    for (let i = 0; i < 10; i++) {
      void ask(String(i), "known");
    }
    await settle();
    expect(started).toHaveLength(4);
  });

  it("works below one request per second", async () => {
    const { clock, started, ask } = setup({ maxRequestsPerSecond: 0.5 });
    void ask("a", "known");
    void ask("b", "known");
    clock.advance(1999);
    await settle();
    expect(started).toEqual(["a"]);
    clock.advance(1);
    await settle();
    expect(started).toEqual(["a", "b"]);
  });
});

describe("pause", () => {
  it("starts nothing until it ends", async () => {
    const { clock, limiter, started, ask } = setup();
    limiter.pause(3000);
    void ask("a", "known");
    clock.advance(2999);
    await settle();
    expect(started).toEqual([]);
    clock.advance(1);
    await settle();
    expect(started).toEqual(["a"]);
  });

  it("refuses at once, waiting or new, whoever cannot wait that long", async () => {
    const { clock, limiter, errors, ask } = setup({ maxConcurrency: 1 });
    const deadlineMs = clock.monotonicMs() + 2000;
    void ask("running", "known");
    void ask("waiting", "known", deadlineMs);
    void ask("patient", "known");
    await settle();
    limiter.pause(2000);
    void ask("new", "known", deadlineMs);
    await settle();
    for (const name of ["waiting", "new"]) {
      expect(errors.get(name)).toMatchObject({ reason: "UPSTREAM_RATE_LIMITED", facts: { retryAfterMs: 2000 } });
    }
    expect(errors.has("patient")).toBe(false);
  });

  it("lasts 60 seconds at most and is not cut short by a shorter one", async () => {
    const { clock, limiter, started, ask } = setup();
    limiter.pause(86_400_000);
    limiter.pause(10);
    void ask("a", "known");
    clock.advance(59_999);
    await settle();
    expect(started).toEqual([]);
    clock.advance(1);
    await settle();
    expect(started).toEqual(["a"]);
  });
});

it("refuses everyone and leaves no timer once it is closed", async () => {
  const { clock, limiter, errors, ask } = setup();
  limiter.pause(5000);
  void ask("waiting", "unknown");
  await settle();
  expect(clock.pendingTimers).toBe(1);
  limiter.close();
  void ask("new", "known");
  await settle();
  expect([errors.get("waiting")?.reason, errors.get("new")?.reason]).toEqual(["DRAINING", "DRAINING"]);
  expect(clock.pendingTimers).toBe(0);
});
