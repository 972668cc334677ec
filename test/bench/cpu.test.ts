import { describe, expect, it } from "vitest";
import { assignCores, parseCpuList, pinned } from "../../bench/kit/cpu-pinning.ts";
import { familyOf, groupOf, parseStat } from "../../bench/kit/process-usage.ts";

describe("the cores", () => {
  it("are read from a list of ranges", () => {
    expect(parseCpuList("0-2,5,7-8\n")).toEqual([0, 1, 2, 5, 7, 8]);
  });

  it("are one for the server and one for all else, where there are two", () => {
    expect(assignCores([0, 1], [0])).toMatchObject({ server: 0, load: 1, support: 1 });
  });

  it("leave the thread beside the server's to the last", () => {
    expect(assignCores([0, 1, 2, 3], [0, 1])).toMatchObject({ server: 0, load: 2, support: 3 });
  });

  it("are shared where there is one, and the remark says so", () => {
    const cores = assignCores([3], [3]);
    expect(cores).toMatchObject({ server: 3, load: 3, support: 3 });
    expect(cores.remark).toContain("share core 3");
  });

  it("are left to the system where nothing can be pinned", () => {
    expect(pinned(undefined, "node", ["a"])).toEqual(["node", ["a"]]);
    expect(pinned([0, 1], "node", ["a"])).toEqual(["taskset", ["--cpu-list", "0,1", "node", "a"]]);
  });
});

describe("the processes of one command", () => {
  it("are those of its process group, whoever started them, and no others", () => {
    const all = [
      { pid: 1, parent: 0, group: 1, ticks: 0 },
      { pid: 2, parent: 1, group: 2, ticks: 0 },
      { pid: 3, parent: 2, group: 2, ticks: 0 },
      { pid: 4, parent: 3, group: 4, ticks: 0 },
      { pid: 5, parent: 4, group: 2, ticks: 0 },
    ];
    expect(groupOf(3, all).map(({ pid }) => pid)).toEqual([2, 3, 5]);
    expect(groupOf(4, all).map(({ pid }) => pid)).toEqual([4]);
  });

  it("are none where nothing is known of it", () => {
    expect(groupOf(9, [])).toEqual([]);
  });
});

describe("the time that a process has used", () => {
  it("is user and system time, whatever its name holds", () => {
    const line = "42 (a (b) c) S 7 40 39 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 11 0 123 456 789";
    expect(parseStat(line)).toEqual({ pid: 42, parent: 7, group: 40, ticks: 200 });
  });

  it("is not read from a line that is none", () => {
    expect(parseStat("")).toBeUndefined();
  });

  it("is that of its descendants too", () => {
    const all = [
      { pid: 1, parent: 0, group: 1, ticks: 1 },
      { pid: 2, parent: 1, group: 1, ticks: 10 },
      { pid: 3, parent: 2, group: 1, ticks: 100 },
      { pid: 4, parent: 0, group: 1, ticks: 1000 },
    ];
    expect(familyOf(1, all).map(({ pid }) => pid)).toEqual([1, 2, 3]);
  });
});
