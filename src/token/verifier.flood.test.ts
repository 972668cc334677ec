import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { createDomain, verifyRequest } from "../../test/support/domain.ts";
import { ScriptedUpstream } from "../../test/support/scripted-upstream.ts";
import { secretOf, token } from "../../test/support/tokens.ts";
import type { Token, TokenSecret } from "./token.ts";

const FLOOD = 1_000_000;
const HOT = 50;

/** Knows the hot tokens and refuses every other at once. */
class RefusingUpstream extends ScriptedUpstream {
  override async verifyToken(secret: TokenSecret): Promise<Token | undefined> {
    this.verifyCount += 1;
    const n = Number(/^mt_secret_(\d+)$/.exec(secret)?.[1] ?? Number.NaN);
    return Number.isNaN(n) ? undefined : token(n);
  }
}

it("keeps memory flat and hot tokens answered from memory under a million random tokens", {
  timeout: 120_000,
}, async () => {
  const upstream = new RefusingUpstream();
  const { verifier, cache } = await createDomain({ upstream, maxRefused: 1_000 });
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  for (let n = 0; n < HOT; n += 1) await verifier.verify(verifyRequest(secretOf(n)));
  await flood(50_000);
  const heapBefore = heapInUse();
  await flood(FLOOD);
  const grownMiB = (heapInUse() - heapBefore) / 2 ** 20;

  expect(cache.refusedCount).toBe(1_000);
  expect(cache.knownCount).toBe(HOT);
  expect(verifier.flightCount).toBe(0);
  expect(upstream.verifyCount).toBe(HOT + 50_000 + FLOOD);
  expect(grownMiB).toBeLessThan(8);

  async function flood(count: number): Promise<void> {
    for (let sent = 0; sent < count; sent += 1_000) {
      const random = randomBytes(16 * 1_000).toString("hex");
      const answers = Array.from({ length: 1_000 }, (_, n) =>
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
