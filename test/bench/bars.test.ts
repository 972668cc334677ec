import { describe, expect, it } from "vitest";
import { drawBars } from "../../bench/bars.ts";

describe("the plot", () => {
  const bars = [
    { title: "peer <b>", value: 100, isSubject: false },
    { title: "gateway", value: 10, isSubject: true },
    { title: "other", value: 1000, isSubject: false },
  ];
  const svg = drawBars("a & b", bars, "a machine; and more");

  it("orders bars by their values and makes equal factors equal lengths", () => {
    const titles = [...svg.matchAll(/text-anchor="end"[^>]*>([^<]+)</g)].map(([, title]) => title);
    expect(titles).toEqual(["gateway", "peer &#60;b&#62;", "other"]);
    const widths = [...svg.matchAll(/<rect class="\w+"[^>]*width="(\d+)"/g)].map(([, width]) => Number(width));
    expect(widths).toEqual([2, 230, 460]);
  });

  it("escapes what it is given", () => {
    expect(svg).toContain("a &#38; b");
    expect(svg).not.toContain("<b>");
  });
});
