import { readdirSync, readFileSync } from "node:fs";

/** What processes have used since they began. */
export interface Usage {
  /** User and system time of all, in milliseconds; NaN where there is no /proc. */
  readonly cpuMs: number;
  /** Resident memory of all, in bytes. */
  readonly rssBytes: number;
}

/** What Linux counts processor time in, for programs of every architecture that Node runs on. */
const TICK_MS = 10;

/** What a process, and those it started, have used. */
export function usageOf(pid: number): Usage {
  if (process.platform !== "linux") return { cpuMs: Number.NaN, rssBytes: Number.NaN };
  const family = familyOf(pid, readAll());
  return {
    cpuMs: family.reduce((sum, { ticks }) => sum + ticks * TICK_MS, 0),
    rssBytes: family.reduce((sum, { pid: member }) => sum + residentBytes(member), 0),
  };
}

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Its process group, by the id of the process that leads it. */
  readonly group: number;
  /** User and system time, in ticks. */
  readonly ticks: number;
}

/** A line of /proc/<pid>/stat. The name, in parentheses, may hold anything. */
export function parseStat(line: string): ProcessStat | undefined {
  const close = line.lastIndexOf(")");
  const fields = line.slice(close + 2).split(" ");
  const pid = Number.parseInt(line, 10);
  // Counted from 1, as proc(5) does, the state after the name is field 3.
  const field = (number: number) => Number(fields[number - 3]);
  const [parent, group, ticks] = [field(4), field(5), field(14) + field(15)];
  return close < 0 || Number.isNaN(pid + parent + group + ticks) ? undefined : { pid, parent, group, ticks };
}

/** The processes of the group that a process is in: what one line of a shell has started, npm and its like included. */
export function groupOf(pid: number, all: readonly ProcessStat[]): ProcessStat[] {
  const group = all.find((stat) => stat.pid === pid)?.group;
  return all.filter((stat) => stat.group === group);
}

/** The process and its descendants. */
export function familyOf(pid: number, all: readonly ProcessStat[]): ProcessStat[] {
  const self = all.filter((stat) => stat.pid === pid);
  const children = all.filter((stat) => stat.parent === pid);
  return [...self, ...children.flatMap((child) => familyOf(child.pid, all))];
}

/** All processes there are. */
export function readAll(): ProcessStat[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => parseStat(readOrNothing(`/proc/${name}/stat`)) ?? []);
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readOrNothing(`/proc/${pid}/status`))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** A process may end between being listed and being read. */
function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
