import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { Allowance, type Limits } from "./allowance.ts";

function allowanceOf(limits: Limits) {
  const clock = new FakeClock();
  const allowance = new Allowance(clock);
  allowance.limit(limits);
  return { clock, allowance };
}

describe("an allowance", () => {
  it("has no bounds unless it is given some", () => {
    const { allowance } = allowanceOf({});
    for (let call = 0; call < 10_000; call += 1) expect(allowance.take(1_000)).toBe(true);
    allowance.inFlight = 10_000;
    expect(allowance.isBusy).toBe(false);
  });

  it("gives a burst, then calls at its rate, and says when the next one is", () => {
    const { clock, allowance } = allowanceOf({ requestsPerSecond: 10, burst: 3 });
    expect([1, 1, 1, 1].map((count) => allowance.take(count))).toEqual([true, true, true, false]);
    expect(allowance.waitMs).toBeCloseTo(100);
    clock.advance(99);
    expect(allowance.take(1)).toBe(false);
    clock.advance(1.001);
    expect(allowance.take(1)).toBe(true);
    expect(allowance.take(1)).toBe(false);
    clock.advance(60_000);
    expect([1, 1, 1, 1].map((count) => allowance.take(count))).toEqual([true, true, true, false]);
  });

  it("lets many calls that come as one through, and makes the caller wait for all of them", () => {
    const { clock, allowance } = allowanceOf({ requestsPerSecond: 10 });
    expect(allowance.take(1)).toBe(true);
    allowance.charge(19);
    expect(allowance.take(1)).toBe(false);
    expect(allowance.waitMs).toBeCloseTo(1_100);
    clock.advance(1_101);
    expect(allowance.take(1)).toBe(true);
  });

  it("keeps what has been used up when its bounds change", () => {
    const { clock, allowance } = allowanceOf({ requestsPerSecond: 10, burst: 2 });
    allowance.take(2);
    allowance.limit({ requestsPerSecond: 10, burst: 100 });
    expect(allowance.take(1)).toBe(false);
    clock.advance(101);
    expect(allowance.take(1)).toBe(true);
    allowance.limit({});
    expect(allowance.take(1)).toBe(true);
    allowance.limit({ requestsPerSecond: 1, burst: 1 });
    expect([allowance.take(1), allowance.take(1)]).toEqual([true, false]);
  });

  it("is busy while as many calls are under way as may be", () => {
    const { allowance } = allowanceOf({ concurrency: 2 });
    allowance.inFlight = 1;
    expect(allowance.isBusy).toBe(false);
    allowance.inFlight = 2;
    expect(allowance.isBusy).toBe(true);
  });
});
