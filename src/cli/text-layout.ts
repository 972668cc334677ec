import { type Duration, durationMs, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Paint } from "./paint.ts";
import { plainText } from "./plain-text.ts";

type Format = Parameters<Paint>[0];

/** A piece of output: what it says, and how it looks where colours are wanted. */
export interface Cell {
  readonly text: string;
  readonly format?: Format | undefined;
}

/** A table with a header and columns as wide as their widest cell. Cells are made safe to print here. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[], paint: Paint): string {
  const all = [header.map((text): Cell => ({ text, format: "bold" })), ...rows];
  const safe = all.map((row) => row.map((cell) => ({ ...cell, text: plainText(cell.text) })));
  const widths = header.map((_, column) => Math.max(...safe.map((row) => row[column]?.text.length ?? 0)));
  return safe.map((row) => line(row, widths, paint)).join("\n");
}

/** `name  value` lines, the values aligned; those without a value are left out. */
export function fields(entries: readonly (readonly [string, Cell | string | undefined])[], paint: Paint): string {
  const present: Cell[][] = [];
  for (const [name, value] of entries) {
    if (value !== undefined && value !== "") {
      const cell = typeof value === "string" ? { text: value } : value;
      present.push([
        { text: name, format: "dim" },
        { ...cell, text: plainText(cell.text) },
      ]);
    }
  }
  const width = Math.max(0, ...present.map(([name]) => name?.text.length ?? 0));
  return present.map((row) => `  ${line(row, [width], paint)}`).join("\n");
}

/** Cells side by side, each padded to its column's width. The last one is not padded. */
export function line(row: readonly Cell[], widths: readonly number[], paint: Paint): string {
  const cells = row.map(({ text, format }, column) => {
    const padding = column === row.length - 1 ? "" : " ".repeat(Math.max(0, (widths[column] ?? 0) - text.length));
    return (format === undefined ? text : paint(format, text)) + padding;
  });
  return cells.join("  ").trimEnd();
}

/** ISO 8601 in UTC, to the second. */
export function timeText(time: Timestamp | undefined): string | undefined {
  if (time === undefined) {
    return undefined;
  }
  const date = new Date(timestampMs(time));
  return Number.isNaN(date.getTime()) ? "out of range" : `${date.toISOString().slice(0, 19)}Z`;
}

/** As `timeText`, with how far it is from now. */
export function timeFromNow(time: Timestamp | undefined, nowMs: number): string | undefined {
  const text = timeText(time);
  if (time === undefined || text === undefined) {
    return undefined;
  }
  const distanceMs = timestampMs(time) - nowMs;
  return `${text} (${distanceMs >= 0 ? `in ${spanText(distanceMs)}` : `${spanText(-distanceMs)} ago`})`;
}

export function durationText(duration: Duration | undefined): string {
  return duration === undefined ? "unknown" : spanText(durationMs(duration));
}

/** The two largest units of a span: `3d 4h`, `59m 58s`, `1.5s`, `20ms`. */
export function spanText(ms: number): string {
  if (ms < 1000) {
    return `${Math.round(ms)}ms`;
  }
  if (ms < 10_000) {
    return `${Number((ms / 1000).toFixed(1))}s`;
  }
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(" ");
}
