import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { createDomain, verifyRequest } from "../../test/support/domain.ts";
import { ScriptedUpstream } from "../../test/support/scripted-upstream.ts";
import { secretOf, token } from "../../test/support/tokens.ts";
import type { Token, TokenSecret } from "./token.ts";

/**
 * 250 times what is kept of refused tokens: sixteen bytes left of each would show. For more:
 *
 *     FLOOD_TOKENS=1000000 npx vitest run src/token/verifier.flood.test.ts
 */
const FLOOD = Number(process.env.FLOOD_TOKENS ?? 250_000);
const WARM_UP = 50_000;
const AT_ONCE = 100;
const HOT = 50;
const REFUSALS_KEPT = 1_000;

/** Knows the hot tokens and refuses every other at once. */
class RefusingUpstream extends ScriptedUpstream {
  override async verifyToken(secret: TokenSecret): Promise<Token | undefined> {
    this.verifyCount += 1;
    const n = Number(/^mt_secret_(\d+)$/.exec(secret)?.[1] ?? Number.NaN);
    return Number.isNaN(n) ? undefined : token(n);
  }
}

it("keeps memory flat and hot tokens answered from memory under a flood of random tokens", {
  timeout: 120_000 + FLOOD,
}, async () => {
  const upstream = new RefusingUpstream();
  const { verifier, cache } = await createDomain({ upstream, maxRefused: REFUSALS_KEPT });
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  for (let n = 0; n < HOT; n += 1) await verifier.verify(verifyRequest(secretOf(n)));
  await flood(WARM_UP);
  const heapBefore = heapInUse();
  await flood(FLOOD);
  const grownMiB = (heapInUse() - heapBefore) / 2 ** 20;

  expect(cache.refusedCount).toBe(REFUSALS_KEPT);
  expect(cache.knownCount).toBe(HOT);
  expect(verifier.flightCount).toBe(0);
  expect(upstream.verifyCount).toBe(HOT + WARM_UP + FLOOD);
  expect(grownMiB).toBeLessThan(4);

  async function flood(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent += AT_ONCE) {
      const random = randomBytes(16 * AT_ONCE).toString("hex");
      const answers = Array.from({ length: AT_ONCE }, (_, n) =>
        verifier.verify(verifyRequest(`mt_${random.slice(32 * n, 32 * n + 32)}`, { signal })),
      );
      const hot = verifier.verify(verifyRequest(secretOf(sent % HOT), { signal }));
      expect(hot).toMatchObject({ verdict: "valid", source: "memory" });
      const verdicts = new Set((await Promise.all(answers)).map(({ verdict }) => verdict));
      expect([...verdicts]).toEqual(["invalid"]);
    }
  }
});

function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  collect();
  return process.memoryUsage().heapUsed;
}
