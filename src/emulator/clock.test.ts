import { expect, it } from "vitest";
import { EmulatorClock } from "./clock.ts";

it("is its source and what it was advanced by, until it is reset", () => {
  let now = 1000.7;
  const clock = new EmulatorClock(() => now);
  clock.advance(500);
  expect(clock.nowMs()).toBe(1500);
  now = 2000;
  expect([clock.nowMs(), clock.offsetMs]).toEqual([2500, 500]);
  clock.reset();
  expect(clock.nowMs()).toBe(2000);
});

it.each([-1, 0.5, Number.NaN, 1e15])("does not advance by %d", (ms) => {
  expect(() => new EmulatorClock(() => 0).advance(ms)).toThrow(RangeError);
});
