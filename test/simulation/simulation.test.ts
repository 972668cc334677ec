import { describe, expect, it } from "vitest";
import { DOMAIN } from "./domain-modules.ts";
import { explain, explore } from "./explore.ts";
import { drawPlan } from "./plan.ts";
import { simulate } from "./simulation.ts";

const RUNS = Number(process.env.SIM_RUNS ?? 2_000);
const FIRST_SEED = Number(process.env.SIM_SEED ?? 1);

/** What a run must have seen to have proved anything. */
const MUST_OCCUR = [
  "valid memory",
  "valid redis",
  "valid upstream",
  "revoked fact",
  "revoked upstream",
  "expired memory",
  "invalid memory",
  "invalid upstream",
  "acknowledged replica",
  "acknowledged fleet",
  "error REVOKED_NOT_BROADCAST",
  "error CURSOR_OF_ANOTHER_LOG",
  "error UPSTREAM_UNAVAILABLE",
  "error UPSTREAM_TIMEOUT",
  "error CANCELED",
  "JWT valid",
  "JWT revoked",
  "JWT acknowledged replica",
  "JWT acknowledged fleet",
  "JWT error UNSYNCED",
  "JWT error REVOKED_NOT_BROADCAST",
];

describe("a fleet over one Redis, in simulated histories", () => {
  it("never answers VALID from a cache beyond the bound, nor after a WAIT_FLEET revoke, loses no fact and ends every call", {
    timeout: 60_000 + 90 * RUNS,
  }, async () => {
    const startedAtMs = performance.now();
    const { histories, counts, failure } = await explore(DOMAIN, FIRST_SEED, RUNS);
    const perSecond = Math.round(histories / ((performance.now() - startedAtMs) / 1_000));
    process.stdout.write(`simulation: ${histories} histories, ${perSecond} per second, from seed ${FIRST_SEED}\n`);
    if (failure !== undefined) expect.fail(await explain(failure, DOMAIN));
    if (RUNS >= 1_000) expect(MUST_OCCUR.filter((what) => !counts.has(what))).toEqual([]);
  });

  it("plays the same history for the same seed", async () => {
    for (const seed of [1, 2, 3]) {
      const [first, second] = [
        await simulate(drawPlan(seed), DOMAIN, true),
        await simulate(drawPlan(seed), DOMAIN, true),
      ];
      expect(first.lines.length).toBeGreaterThan(10);
      expect(second).toEqual(first);
    }
  });
});
