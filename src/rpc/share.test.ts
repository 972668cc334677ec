import { describe, expect, it } from "vitest";
import { Share } from "./share.ts";

describe("Share", () => {
  it.each([
    [0, 0],
    [0.001, 10],
    [0.25, 2_500],
    [0.7, 7_000],
    [1, 10_000],
  ])("of %d chooses as many of ten thousand, and says so before", (ratio, expected) => {
    const share = new Share(ratio);
    let chosen = 0;
    for (let n = 0; n < 10_000; n += 1) {
      const { isDue } = share;
      expect(share.take()).toBe(isDue);
      chosen += isDue ? 1 : 0;
    }
    expect(chosen).toBe(expected);
  });

  it("spreads them evenly", () => {
    const share = new Share(0.25);
    expect(Array.from({ length: 8 }, () => share.take())).toEqual([
      false,
      false,
      false,
      true,
      false,
      false,
      false,
      true,
    ]);
  });
});
