import { describe, expect, it } from "vitest";
import { DurationCounts } from "./duration-counts.ts";

describe("DurationCounts", () => {
  it("counts each duration in the first bucket whose bound it does not exceed, and in the last if it exceeds all", () => {
    const durations = new DurationCounts();
    for (const durationMs of [0, 1, 1.01, 10_000, 10_000.1, 86_400_000]) durations.add(durationMs);
    const counts = [...durations.counts];
    expect(counts.slice(0, 2)).toEqual([2, 1]);
    expect(counts.slice(-2)).toEqual([1, 2]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(6);
    expect(durations.sumMs).toBeCloseTo(86_420_002.11, 5);
    expect(durations.counts).toHaveLength(durations.boundsMs.length + 1);
  });
});
