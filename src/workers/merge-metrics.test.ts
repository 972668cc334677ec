import { expect, it } from "vitest";
import { mergeMetrics } from "./merge-metrics.ts";

it("keeps one family per metric and tells the workers apart by a label", () => {
  const page = (n: number) =>
    `# HELP up_total How often.\n# TYPE up_total counter\nup_total ${n}\n\n# HELP h A histogram.\n# TYPE h histogram\nh_bucket{le="1"} ${n}\nh_sum ${n}\n`;
  const merged = mergeMetrics([
    { worker: "1", text: page(7) },
    { worker: "2", text: `${page(8)}\n# HELP more Only here.\n# TYPE more gauge\nmore{} 1\n` },
  ]);
  expect(merged.split("\n")).toEqual([
    "# HELP up_total How often.",
    "# TYPE up_total counter",
    'up_total{worker="1"} 7',
    'up_total{worker="2"} 8',
    "",
    "# HELP h A histogram.",
    "# TYPE h histogram",
    'h_bucket{worker="1",le="1"} 7',
    'h_sum{worker="1"} 7',
    'h_bucket{worker="2",le="1"} 8',
    'h_sum{worker="2"} 8',
    "",
    "# HELP more Only here.",
    "# TYPE more gauge",
    'more{worker="2",} 1',
    "",
  ]);
});
