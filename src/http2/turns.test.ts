import { setImmediate as round } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Turns } from "./turns.ts";

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
