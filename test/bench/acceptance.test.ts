import { describe, expect, it } from "vitest";
import { outcomeRows, outcomesOf } from "../../bench/acceptance.ts";
import { RunRecord } from "../../bench/kit/record.ts";

describe("what the project asks of itself", () => {
  it("is shown for every line, measured or not, and what falls short is marked", () => {
    const record = new RunRecord();
    record.addRound("64x1", "gateway", { requestsPerSecond: 30 });
    record.addRound("64x1", "grpc_go", { requestsPerSecond: 20 });
    record.addRound("1x1", "gateway", { p50Micros: 80, p99Micros: 200 });
    record.addRound("1x1", "grpc_go", { p50Micros: 100, p99Micros: 100 });
    record.addRound("cases", "gateway", { cpuMicros: 6 });
    record.addRound("cases", "jwt", { cpuMicros: 7.5 });
    record.setFigures("cache-size", { ratio_1e6_to_1e3: 0.7 });
    const rows = new Map(outcomeRows(outcomesOf(record)).map(([what, ...rest]) => [what, rest]));
    expect(rows.get("64x1 against grpc-go")).toEqual(["at least 2", "1.5 !"]);
    expect(rows.get("1x1 p50 against grpc-go")).toEqual(["at most 1", "0.8"]);
    expect(rows.get("1x1 p99 against grpc-go")).toEqual(["at most 1", "2 !"]);
    expect(rows.get("CPU of a JWT against an opaque token's, from memory")).toEqual(["at most 1.5", "1.25"]);
    expect(rows.get("10^6 cached tokens against 10^3")).toEqual(["at least 0.7", "0.7"]);
    expect(rows.get("8x16 against connect-node")).toEqual(["at least 60", "not measured"]);
  });
});
