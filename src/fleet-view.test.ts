import { describe, expect, it } from "vitest";
import { FakeClock } from "../test/support/fake-clock.ts";
import { FleetView } from "./fleet-view.ts";
import type { ReplicaContact } from "./token/ports.ts";

const A: ReplicaContact = { name: "a", applied: undefined, silenceMs: 0 };

function view() {
  const clock = new FakeClock();
  const log = { asked: 0, reachable: true };
  const fleet = {
    async replicas() {
      log.asked += 1;
      if (!log.reachable) throw new Error("Redis is away");
      return [A];
    },
  };
  return { clock, log, view: new FleetView({ fleet, clock }) };
}

describe("FleetView", () => {
  it("asks the log twice a second at most, however many ask it", async () => {
    const { clock, log, view: fleet } = view();
    await Promise.all([fleet.read(), fleet.read(), fleet.read()]);
    await fleet.read();
    expect(log.asked).toBe(1);
    clock.advance(500);
    await fleet.read();
    expect(log.asked).toBe(2);
  });

  it("tells what it knew last, and since when, while the log cannot be asked", async () => {
    const { clock, log, view: fleet } = view();
    log.reachable = false;
    expect(await fleet.read()).toEqual({ replicas: [], readAtMs: undefined });
    log.reachable = true;
    clock.advance(500);
    const known = await fleet.read();
    expect(known).toEqual({ replicas: [A], readAtMs: clock.wallMs() });
    log.reachable = false;
    clock.advance(10_000);
    expect(await fleet.read()).toEqual(known);
  });
});
