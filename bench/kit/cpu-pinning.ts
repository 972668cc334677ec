import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { findProgram } from "./find-program.ts";
import { groupOf, readAll } from "./process-usage.ts";

/** Which cores do what. A core may have several tasks where there are few. */
export interface Cores {
  /** Where the server under test runs; `undefined` where nothing can be pinned. */
  readonly server: number | undefined;
  /** Where the load comes from. */
  readonly load: number | undefined;
  /** Where the emulator and Redis run. */
  readonly support: number | undefined;
  /** All that this process may use. */
  readonly all: readonly number[];
  /** What a reader of the figures must know. */
  readonly remark: string;
}

export function planCores(): Cores {
  const all = allowedCores();
  if (all.length === 0 || findProgram("taskset") === undefined) {
    const remark = "nothing is pinned: that needs Linux and taskset (package util-linux)";
    return { server: undefined, load: undefined, support: undefined, all, remark };
  }
  return assignCores(all, siblingsOf(all[0] ?? 0));
}

/** @param siblings the cores that are threads of the first one's physical core, itself included */
export function assignCores(all: readonly number[], siblings: readonly number[]): Cores {
  const [server = 0] = all;
  const others = all.filter((core) => core !== server);
  if (others.length === 0) {
    const remark = `server, load and all else share core ${server}: compare CPU per request, not throughput`;
    return { server, load: server, support: server, all, remark };
  }
  // A thread of the same physical core would take from the server what the load costs.
  const ordered = [...others.filter((core) => !siblings.includes(core)), ...others.filter((c) => siblings.includes(c))];
  const [load = server, support = load] = ordered;
  const shared = siblings.includes(load) ? "; they are threads of one physical core" : "";
  const remark = `server on core ${server}, load on core ${load}, emulator and Redis on core ${support}${shared}`;
  return { server, load, support, all, remark };
}

/** A command line that runs on one core or some. It keeps its process id: taskset becomes the command. */
export function pinned(
  core: number | readonly number[] | undefined,
  command: string,
  args: readonly string[],
): [string, string[]] {
  const list = [core ?? []].flat().join(",");
  return list === "" ? [command, [...args]] : ["taskset", ["--cpu-list", list, command, ...args]];
}

/** Moves a process to a core, this one if none is named; what it starts afterwards inherits that. */
export function moveProcess(core: number | undefined, pid = process.pid): void {
  if (core === undefined) return;
  execFileSync("taskset", ["--all-tasks", "--pid", "--cpu-list", `${core}`, `${pid}`], { stdio: "ignore" });
}

/** Moves all threads of a Node.js process but the first, which runs the event loop: V8's and libuv's, as far as there are any yet. */
export function moveHelpers(core: number | undefined, pid: number | undefined): void {
  if (core === undefined || pid === undefined) return;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    if (Number(thread) !== pid) spawnSync("taskset", ["--pid", "--cpu-list", `${core}`, thread]);
  }
}

/**
 * Moves the process group of this process to the load's core until this process ends: npm and the compiler of TypeScript wait for it,
 * collect their garbage meanwhile and would take the server's core to do so, for 4 ms at a time. In a script without job
 * control that is the script, too.
 */
export function moveGroup({ load }: Cores): void {
  if (load === undefined) return;
  const before = new Map(groupOf(process.pid, readAll()).map(({ pid }) => [pid, allowedCores(pid)]));
  // One of them may have ended.
  const move = (pid: number, cores: readonly number[]) =>
    spawnSync("taskset", ["--all-tasks", "--pid", "--cpu-list", cores.join(), `${pid}`]);
  for (const pid of before.keys()) move(pid, [load]);
  process.once("exit", () => {
    for (const [pid, cores] of before) if (pid !== process.pid && cores.length > 0) move(pid, cores);
  });
}

/** `0-2,5` as numbers. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

function allowedCores(pid: number | "self" = "self"): number[] {
  if (process.platform !== "linux") return [];
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return parseCpuList(list ?? "");
  } catch {
    // It has ended.
    return [];
  }
}

function siblingsOf(core: number): number[] {
  try {
    return parseCpuList(readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, "utf8"));
  } catch {
    // Machines without that file do not say; then the core is taken to be alone.
    return [core];
  }
}
