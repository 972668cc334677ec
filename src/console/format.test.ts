import { describe, expect, it } from "vitest";
import { durationText, latencyText, rateText, shareText, usdText } from "./format.ts";

describe("what people read", () => {
  it("has the digits that matter", () => {
    expect([0, 0.02, 3.04, 99.96, 12_345.6].map(rateText)).toEqual(["0", "< 0.1", "3.0", "100", "12,346"]);
    expect([0.05, 0.25, 4.21, 42.4, 1_234].map((ms) => latencyText(ms, 0.1))).toEqual([
      "≤ 0.1",
      "0.25",
      "4.2",
      "42",
      "1,234",
    ]);
    expect([0, 840, 2_340, 240_000, 11_520_000, 187_200_000].map(durationText)).toEqual([
      "0 ms",
      "840 ms",
      "2.3 s",
      "4 min",
      "3 h 12 min",
      "2 d 4 h",
    ]);
    expect([0, 0.00531, 1_234.5].map(usdText)).toEqual(["$0.00", "$0.00531", "$1,234.50"]);
  });

  it("does not say 100 % of what is not all", () => {
    expect(shareText(99_999, 100_000)).toBe("99.9 %");
    expect(shareText(5, 5)).toBe("100.0 %");
    expect(shareText(0, 0)).toBe("–");
  });
});
