import { describe, expect, it } from "vitest";
import { RunRecord } from "../../bench/kit/record.ts";
import { percentile, ratiosOf, summarize } from "../../bench/kit/statistics.ts";

describe("a summary of rounds", () => {
  it("has the middle one of an odd number, and how far they are apart", () => {
    expect(summarize([30, 10, 20])).toEqual({ median: 20, min: 10, max: 30, spread: 1, rounds: [30, 10, 20] });
  });

  it("has the mean of the two in the middle of an even number", () => {
    expect(summarize([4, 1, 3, 2]).median).toBe(2.5);
  });
});

describe("a percentile", () => {
  it("is the value of the nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]).toEqual([50, 99, 100]);
  });
});

describe("ratios", () => {
  it("say how many times the other's value the subject's is", () => {
    expect(ratiosOf(100, { twice: 50, half: 200 })).toEqual({ twice: 2, half: 0.5 });
  });

  it("leave out what was not measured", () => {
    expect(ratiosOf(100, { none: Number.NaN, zero: 0 })).toEqual({});
    expect(ratiosOf(Number.NaN, { other: 1 })).toEqual({});
  });
});

describe("the record of a run", () => {
  const record = new RunRecord();
  for (const [ours, theirs] of [
    [100, 20],
    [120, 30],
    [90, 25],
  ] as const) {
    record.addRound("8x16", "gateway", { requestsPerSecond: ours, cpuMicros: 1000 / ours });
    record.addRound("8x16", "grpc_go", { requestsPerSecond: theirs, cpuMicros: 1000 / theirs });
    record.addRound("1x1", "gateway", { p50Micros: ours, p99Micros: 2 * ours });
    record.addRound("1x1", "grpc_go", { p50Micros: theirs, p99Micros: theirs });
  }
  record.addRound("cache-size", "tokens_1e3", { requestsPerSecond: 1 });

  it("gives ratios of medians by shape and peer, of latency by percentile", () => {
    expect(record.throughputRatios()).toEqual({
      "8x16": { grpc_go: 4 },
      "1x1 p50": { grpc_go: 4 },
      "1x1 p99": { grpc_go: 8 },
    });
  });

  it("turns CPU ratios around, so that more is better", () => {
    expect(record.cpuRatios()).toEqual({ "8x16": { grpc_go: 4 } });
  });

  it("keeps every round", () => {
    expect(record.results()["8x16"]?.grpc_go?.requestsPerSecond?.rounds).toEqual([20, 30, 25]);
  });

  it("names each gap once, whatever number of rounds it is missing from", () => {
    record.addGap("nginx", "not installed");
    record.addGap("nginx", "not installed");
    expect(record.gaps).toEqual([{ what: "nginx", why: "not installed" }]);
  });
});
