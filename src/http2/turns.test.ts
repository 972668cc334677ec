import { setImmediate as round } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Run, Turns } from "./turns.ts";

describe("Turns", () => {
  it("gives one turn in each round of the event loop, in the order of asking", async () => {
    const turns = new Turns();
    const had: string[] = [];
    for (const name of ["a", "b", "c"]) turns.wait(() => had.push(name));
    expect(had).toEqual([]);
    await round();
    expect(had).toEqual(["a"]);
    await round();
    expect(had).toEqual(["a", "b"]);
    await round();
    expect(had).toEqual(["a", "b", "c"]);
  });

  it("puts whoever asks again during its turn behind the others", async () => {
    const turns = new Turns();
    const had: string[] = [];
    turns.wait(() => {
      had.push("a");
      turns.wait(() => had.push("a again"));
    });
    turns.wait(() => had.push("b"));
    while (had.length < 3) await round();
    expect(had).toEqual(["a", "b", "a again"]);
  });
});

describe("a turn that is not waited for", () => {
  it("is there once in each round, where nobody waits", async () => {
    const turns = new Turns();
    expect([turns.tryTake(), turns.tryTake()]).toEqual([true, false]);
    await round();
    expect(turns.tryTake()).toBe(true);
    await round();
    turns.wait(() => undefined);
    expect(turns.tryTake()).toBe(false);
  });

  it("is this round's: who waits has the next", async () => {
    const turns = new Turns();
    let had = 0;
    turns.tryTake();
    turns.wait(() => (had += 1));
    await round();
    expect(had).toBe(0);
    await round();
    expect(had).toBe(1);
  });

  it("passes by who has left", async () => {
    const turns = new Turns();
    const had: string[] = [];
    const first = () => had.push("first");
    turns.wait(first);
    turns.wait(() => had.push("second"));
    turns.leave(first);
    await round();
    expect(had).toEqual(["second"]);
  });
});

describe("Run", () => {
  it.each([
    ["clear", 64],
    ["tls", 16],
  ] as const)("in %s is too long at %i KiB without a pause, and then begins anew", (carrier, kib) => {
    const run = new Run(carrier);
    for (let at = 1; at < kib; at++) expect(run.isTooLong(1024, at / 100)).toBe(false);
    expect(run.isTooLong(1024, 1)).toBe(true);
    expect(run.isTooLong(1024, 1)).toBe(false);
  });

  it("does not count what came before a pause", () => {
    const run = new Run("tls");
    expect(run.isTooLong(15 * 1024, 0)).toBe(false);
    expect(run.isTooLong(15 * 1024, 6)).toBe(false);
  });
});
