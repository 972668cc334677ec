import { expect, it } from "vitest";
import { startGatewayFixture } from "../../test/support/gateway-fixture.ts";
import { parsePrometheus } from "../../test/support/prometheus-text.ts";
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

it("keeps every sample of a gateway's own page, of each worker", async () => {
  await using gateway = await startGatewayFixture();
  await gateway.tokens.verifyToken({ token: (await gateway.mint()).secret });
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const one = parsePrometheus(text);
  const merged = parsePrometheus(mergeMetrics(["1", "2"].map((worker) => ({ worker, text }))));
  const inOrder = (samples: unknown[]) => samples.map((sample) => JSON.stringify(sample)).sort();
  for (const worker of ["1", "2"]) {
    const own = merged.filter(({ labels }) => labels.worker === worker);
    const bare = own.map(({ labels: { worker: _, ...labels }, ...sample }) => ({ ...sample, labels }));
    expect(inOrder(bare.map(({ family, name, labels, value }) => ({ family, name, labels, value })))).toEqual(
      inOrder(one),
    );
  }
  expect(merged).toHaveLength(2 * one.length);
});
