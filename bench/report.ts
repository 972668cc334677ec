import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { outcomeRows, outcomesOf } from "./acceptance.ts";
import type { Cores } from "./kit/cpu-pinning.ts";
import type { Figures, Gap, Metric, RunRecord } from "./kit/record.ts";
import { rounded } from "./kit/statistics.ts";

const COLUMNS: readonly (readonly [Metric, string])[] = [
  ["requestsPerSecond", "req/s"],
  ["cpuMicros", "CPU µs/req"],
  ["serverBusy", "core busy"],
  ["rssMib", "RSS MiB"],
  ["p50Micros", "p50 µs"],
  ["p99Micros", "p99 µs"],
];
/** A wider spread than this is pointed out. */
const WIDE = 0.15;

export function jsonReport(record: RunRecord, about: Readonly<Record<string, unknown>>): object {
  return {
    ...about,
    ratios: record.throughputRatios(),
    acceptance: outcomesOf(record),
    cpuRatios: record.cpuRatios(),
    ...ratioOfCacheSizes(record),
    results: record.results(),
    sections: Object.fromEntries(record.figures),
    titles: Object.fromEntries(record.titles),
    couldNotRun: record.gaps,
    failures: record.failures,
  };
}

/** The figures as tables for people. */
export function textReport(record: RunRecord, abouts: ReadonlyMap<string, string>, machine: string): string {
  const parts = record.shapes.map((shape) => `${shape}: ${abouts.get(shape) ?? ""}\n${shapeTable(record, shape)}`);
  for (const [section, figures] of record.figures) {
    parts.push(`${section}: ${abouts.get(section) ?? ""}\n${figureLines(figures)}`);
  }
  parts.push(`required and seen:\n${table([["", "required", "seen"], ...outcomeRows(outcomesOf(record))])}`);
  if (record.gaps.length > 0) parts.push(`could not run:\n${gapLines(record.gaps)}`);
  if (record.failures.length > 0) parts.push(`WENT WRONG:\n${gapLines(record.failures)}`);
  return `${parts.join("\n\n")}\n\nmachine: ${machine}`;
}

export function machineLine({ remark }: Cores): string {
  const [first] = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  const load = process.platform === "linux" ? `, load ${readFileSync("/proc/loadavg", "utf8").split(" ")[0]}` : "";
  const system = `${process.platform} ${release()} ${process.arch}`;
  return `${cpus().length} x ${first?.model ?? "unknown"}, ${gib} GiB, ${system}, Node ${process.version}${load}; ${remark}`;
}

function shapeTable(record: RunRecord, shape: string): string {
  const columns = COLUMNS.filter(([metric]) =>
    record.peersIn(shape).some((peer) => record.summary(shape, peer, metric) !== undefined),
  );
  const ratios = record.throughputRatios()[shape] ?? record.throughputRatios()[`${shape} p50`] ?? {};
  const header = ["", ...columns.map(([, title]) => title), "spread", "gateway is"];
  const rows = record.peersIn(shape).map((peer) => {
    const [mainMetric = "requestsPerSecond"] = columns[0] ?? [];
    const spread = record.summary(shape, peer, mainMetric)?.spread ?? Number.NaN;
    return [
      record.titles.get(peer) ?? peer,
      ...columns.map(([metric]) => cell(metric, record.summary(shape, peer, metric)?.median)),
      `${Math.round(spread * 100)} %${spread > WIDE ? " !" : ""}`,
      ratios[peer] === undefined ? "" : `${rounded(ratios[peer], 3)}x`,
    ];
  });
  return table([header, ...rows]);
}

function cell(metric: Metric, value: number | undefined): string {
  if (value === undefined) return "";
  if (metric === "serverBusy") return `${Math.round(value * 100)} %`;
  return value >= 100 ? Math.round(value).toLocaleString("en") : `${rounded(value, 3)}`;
}

/** The first column to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .map((line) => `  ${line.trimEnd()}`)
    .join("\n");
}

function figureLines(figures: Figures): string {
  const width = Math.max(...Object.keys(figures).map((name) => name.length));
  return Object.entries(figures)
    .map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
    .join("\n");
}

function gapLines(gaps: readonly Gap[]): string {
  return gaps.map(({ what, why }) => `  ${what}: ${why}`).join("\n");
}

function ratioOfCacheSizes(record: RunRecord): object {
  const ratio = record.figures.get("cache-size")?.ratio_1e6_to_1e3;
  return ratio === undefined ? {} : { ratio_1e6_to_1e3: ratio };
}
