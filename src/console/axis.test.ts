import { describe, expect, it } from "vitest";
import { linearScale, logScale, spread } from "./axis.ts";

describe("linearScale", () => {
  it.each([
    [0, [0, 0.5, 1, 1.5]],
    [7, [0, 2, 4, 6, 8]],
    [98, [0, 50, 100, 150]],
    [1200, [0, 500, 1000, 1500]],
  ])("has few round marks, and room above %s", (largest, ticks) => {
    expect(linearScale(largest).ticks).toEqual(ticks);
    expect(linearScale(largest).max).toBeGreaterThanOrEqual(largest);
  });
});

describe("logScale", () => {
  it.each([
    [0, [0.1, 1, 10]],
    [10, [0.1, 1, 10]],
    [264, [0.1, 1, 10, 100, 1000]],
  ])("has a mark for each power of ten up to %s", (largest, ticks) => {
    expect(logScale(0.1, largest).ticks).toEqual(ticks);
  });
});

describe("spread", () => {
  it("moves labels apart, in their order, and none below the bottom", () => {
    expect(spread([10, 50, 90], 14, 100)).toEqual([10, 50, 90]);
    expect(spread([10, 12, 13], 14, 100)).toEqual([10, 24, 38]);
    expect(spread([95, 98, 99], 14, 100)).toEqual([72, 86, 100]);
  });
});
