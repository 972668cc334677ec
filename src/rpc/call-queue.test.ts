import { setImmediate as round } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CallQueue } from "./call-queue.ts";

const A = {};
const B = {};

let queue: CallQueue;
let seen: string[];

beforeEach(() => {
  queue = new CallQueue();
  seen = [];
});

afterEach(() => queue.emptied());

function add(connection: object, name: string, isGone = false): void {
  queue.add(connection, {
    isGone,
    begin: () => seen.push(name),
    drop: () => seen.push(`${name} dropped`),
  });
}

describe("CallQueue", () => {
  it("begins one call in each round of the event loop, of each connection in turn", async () => {
    for (const name of ["a1", "a2", "a3"]) add(A, name);
    for (const name of ["b1", "b2"]) add(B, name);
    expect(seen).toEqual([]);
    const rounds: string[] = [];
    while (seen.length < 5) {
      await round();
      rounds.push(seen.join(" "));
    }
    expect(rounds).toEqual(["a1", "a1 b1", "a1 b1 a2", "a1 b1 a2 b2", "a1 b1 a2 b2 a3"]);
  });

  it("drops the calls whose caller has left, and begins the next in their place", async () => {
    for (const name of ["a1", "a2"]) add(A, name, true);
    add(A, "a3");
    await round();
    expect(seen).toEqual(["a1 dropped", "a2 dropped", "a3"]);
  });

  it("drops no more at once than take a moment", async () => {
    for (let at = 0; at < 200; at++) add(A, `a${at}`, true);
    await round();
    expect(seen.length).toBeLessThan(100);
    await queue.emptied();
    expect(seen).toHaveLength(200);
  });

  it("says which connections are behind", async () => {
    for (const name of ["a1", "a2", "a3", "a4"]) add(A, name);
    add(B, "b1");
    expect([queue.isBehind(A), queue.isBehind(B), queue.isBehind({})]).toEqual([true, false, false]);
    await round();
    expect(queue.isBehind(A)).toBe(false);
  });

  it("says when no call waits any more", async () => {
    await queue.emptied();
    add(A, "a1");
    add(B, "b1");
    await queue.emptied();
    expect(seen).toEqual(["a1", "b1"]);
  });
});
