import { describe, expect, it } from "vitest";
import { History, quantileOf } from "./history.ts";
import { Fields } from "./json.ts";
import { type Status, statusOf } from "./status.ts";

const BOUNDS = ["0.001s", "0.010s", "0.100s"];

/** What GetStatus tells after so many verifications, of which some came from memory. */
function status({ memory = 0, upstream = 0, failed = 0, start = 1 }): Status {
  return statusOf(
    new Fields({
      startTime: new Date(start).toISOString(),
      durationBounds: BOUNDS,
      cache: { hits: String(memory), misses: String(upstream) },
      verifications: [
        { verdict: "VERDICT_VALID", source: "SOURCE_MEMORY", count: String(memory) },
        { verdict: "VERDICT_INVALID", source: "SOURCE_UPSTREAM", count: String(upstream) },
      ],
      calls: [
        {
          service: "m2mgateway.v1.TokenService",
          method: "VerifyToken",
          codes: { OK: String(memory + upstream), UNAVAILABLE: String(failed), CANCELLED: "9" },
          durations: [String(memory), "0", String(upstream), "0"],
        },
        { service: "m2mgateway.v1.GatewayService", method: "GetStatus", codes: { OK: "5000" }, durations: [] },
      ],
    }),
  );
}

describe("History", () => {
  it("makes rates of counters, by the time that really passed", () => {
    const history = new History();
    history.add({ atMs: 0, status: status({}) });
    history.add({ atMs: 2_000, status: status({ memory: 180, upstream: 20, failed: 4 }) });
    const memory = history.sources.indexOf("MEMORY");
    expect(history.points.at(-1)?.bySource?.[memory]).toBe(90);
    expect(history.span(10_000)).toMatchObject({ seconds: 2, calls: 204, failures: 4, hits: 180, misses: 20 });
    expect(history.span(10_000)?.byVerdict).toEqual(
      new Map([
        ["VALID", 180],
        ["INVALID", 20],
      ]),
    );
  });

  it("knows nothing of the time in which it was told nothing", () => {
    const history = new History();
    history.add({ atMs: 0, status: status({}) });
    expect(history.span(10_000)).toBeUndefined();
    history.add({ atMs: 60_000, status: status({ memory: 1_000 }) });
    expect(history.points.map(({ bySource }) => bySource)).toEqual([undefined, undefined]);
  });

  it("begins anew with a process that was started again, and never counts backwards", () => {
    const history = new History();
    history.add({ atMs: 0, status: status({ memory: 1_000 }) });
    history.add({ atMs: 1_000, status: status({ memory: 3, start: 2 }) });
    expect(history.points.at(-1)?.bySource).toBeUndefined();
    history.add({ atMs: 2_000, status: status({ memory: 1, start: 2 }) });
    expect(history.points.at(-1)?.bySource?.every((rate) => rate === 0)).toBe(true);
  });

  it("forgets what its window does not show", () => {
    const history = new History();
    for (let second = 0; second < 1_000; second++) {
      history.add({ atMs: second * 1_000, status: status({ memory: second }) });
    }
    expect(history.points.length).toBeLessThan(310);
  });
});

describe("quantileOf", () => {
  const bounds = [1, 10, 100];
  it("is within the bucket where it lies", () => {
    expect(quantileOf(bounds, [50, 50, 0, 0], 0.5)).toBe(1);
    expect(quantileOf(bounds, [0, 100, 0, 0], 0.5)).toBe(5.5);
    expect(quantileOf(bounds, [98, 0, 2, 0], 0.99)).toBe(55);
  });

  it("is the greatest bound where more is not known, and nothing where nothing was counted", () => {
    expect(quantileOf(bounds, [0, 0, 0, 7], 0.5)).toBe(100);
    expect(quantileOf(bounds, [0, 0, 0, 0], 0.5)).toBeUndefined();
    expect(quantileOf([], [], 0.5)).toBeUndefined();
  });
});
