import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Fleet, RevocationLog } from "../../src/token/ports.ts";

export interface FleetHarness {
  /** A replica of one fleet; of a fleet of one, always the same. */
  open(replica: string): Promise<{ readonly log: RevocationLog; readonly fleet: Fleet }>;
  reset(): Promise<void>;
  stop(): Promise<void>;
}

const NEVER = new AbortController().signal;

/** What the console demands of who tells it of the fleet. `isShared`: whether there can be more replicas than one. */
export function describeFleet(name: string, start: () => Promise<FleetHarness>, isShared: boolean): void {
  describe(`the fleet of the log in ${name}`, () => {
    let harness: FleetHarness;
    beforeAll(async () => {
      harness = await start();
    });
    afterEach(() => harness.reset());
    afterAll(() => harness?.stop());

    it("tells how far a replica has applied the log, and that it was heard of just now", async () => {
      const { log, fleet } = await harness.open("a");
      const { head } = await log.read(undefined, NEVER);
      await log.read(head, NEVER);
      const [contact, ...others] = await fleet.replicas(NEVER);
      expect(contact).toMatchObject({ name: "a", applied: head });
      expect(contact?.silenceMs).toBeGreaterThanOrEqual(0);
      expect(others).toEqual([]);
    });

    if (isShared) itTellsOfOthers((replica) => harness.open(replica));
  });
}

function itTellsOfOthers(open: FleetHarness["open"]): void {
  it("tells of every replica, by name, and of the silence of one that is cut off", async () => {
    const [b, a] = [await open("b"), await open("a")];
    const { head } = await b.log.read(undefined, NEVER);
    await a.log.read(head, NEVER);
    const first = await a.fleet.replicas(NEVER);
    expect(first).toMatchObject([
      { name: "a", applied: head },
      { name: "b", applied: undefined },
    ]);
    await vi.waitFor(async () => {
      await a.log.read(head, NEVER);
      const [, silent] = await a.fleet.replicas(NEVER);
      expect(silent?.silenceMs).toBeGreaterThan((first[1]?.silenceMs ?? 0) + 50);
    }, 10_000);
  });

  it("forgets a replica that was closed", async () => {
    const [a, b] = [await open("a"), await open("b")];
    for (const { log } of [a, b]) await log.read(undefined, NEVER);
    await b.log.close();
    expect((await a.fleet.replicas(NEVER)).map(({ name }) => name)).toEqual(["a"]);
  });
}
