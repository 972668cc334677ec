import { describe, expect, it } from "vitest";
import { AttackerProcess } from "./attacker-process.ts";
import { ATTACKS } from "./attacks/all.ts";
import { Innocent } from "./innocent.ts";
import { runAttack } from "./run-attack.ts";
import { Victim, type VictimOptions } from "./victim.ts";

/** Far above what is seen; a leak of what attackers send would go through it in a second. */
const CEILING_MIB = 600;
const QUICK = { durationMs: 100, atLeastCalls: 5 };
/** What waits for Clerk at the end is asked for at a bounded rate: not for long. */
const env = { CLERK_MAX_QUEUE: "64" };

/** Node's transport takes minutes: `npm run abuse` attacks it. */
const VICTIMS: readonly VictimOptions[] = [
  { transport: "engine", carrier: "tcp", env },
  { transport: "engine", carrier: "tls", env },
];

describe.each(VICTIMS)("the $transport over $carrier", (options) => {
  it("outlives every attack within bounded memory and answers an innocent from memory meanwhile", {
    timeout: 300_000,
  }, async () => {
    await using victim = await Victim.start(options);
    const attacker = new AttackerProcess();
    const innocent = new Innocent(victim.target, victim.token);
    try {
      for (const attack of ATTACKS.filter(({ over }) => over.includes(options.carrier))) {
        const connections = attack.connections[0];
        const outcome = await runAttack(attack, { victim, attacker, innocent }, { ...QUICK, connections });
        expect(outcome.opened, attack.name).toBeGreaterThan(0);
        expect(outcome.peakMiB, attack.name).toBeLessThan(CEILING_MIB);
        expect(outcome.refused, attack.name).toBe(0);
      }
      // Nothing stays of any of them.
      while ((await victim.metric("in_flight")) > 0 || (await victim.metric("watchers")) > 0) await pause();
      while ((await victim.metric("streams")) > 0 || (await victim.metric("connections")) > 2) await pause();
      expect(await victim.metric("pending_bytes")).toBe(0);
      await victim.decides();
      expect(victim.errors).toBe("");
    } finally {
      innocent.close();
      attacker.close();
    }
  });
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
