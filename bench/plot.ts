/**
 * Draws the peers of one shape as bars, on a logarithmic scale, in an SVG for light and dark pages.
 *
 *     npx tsx bench/plot.ts result.json plot.svg [shape] [cpuMicros | requestsPerSecond]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { type Bar, drawBars } from "./bars.ts";

interface Result {
  readonly machine: string;
  readonly titles: Readonly<Record<string, string>>;
  readonly results: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, { median: number }>>>>>>;
}

const WHAT: Readonly<Record<string, string>> = {
  cpuMicros: "CPU µs per request (less is better)",
  requestsPerSecond: "requests per second on one core",
};

function barsOf({ results, titles }: Result, shape: string, metric: string): Bar[] {
  return Object.entries(results[shape] ?? {}).flatMap(([peer, metrics]) => {
    const value = metrics[metric]?.median;
    return value === undefined ? [] : [{ title: titles[peer] ?? peer, value, isSubject: peer.startsWith("gateway") }];
  });
}

const [input, output, shape = "8x16", metric = "cpuMicros"] = process.argv.slice(2);
if (input === undefined || output === undefined) {
  process.stderr.write("usage: npx tsx bench/plot.ts result.json plot.svg [shape] [cpuMicros | requestsPerSecond]\n");
  process.exitCode = 2;
} else {
  const result = JSON.parse(readFileSync(input, "utf8")) as Result;
  const bars = barsOf(result, shape, metric);
  if (bars.length === 0) {
    process.stderr.write(`${input} has no ${metric} of the shape ${shape}\n`);
    process.exitCode = 1;
  } else writeFileSync(output, drawBars(`VerifyToken, ${shape}: ${WHAT[metric] ?? metric}`, bars, result.machine));
}
