import { jwtVerify } from "jose";
import { parseJwt } from "../src/token/jwt.ts";
import { isSignedBy } from "../src/token/signing-keys.ts";
import { goodClaims, makeIssuerKey, mint, NOW_S, RULES } from "../test/support/jwts.ts";

/**
 * What one JWT costs that was not seen before, by parts, in microseconds of processor time: `npx tsx bench/jwt-cost.ts`. The
 * ways are interleaved; the median of the rounds is printed, and the least and the most.
 */
const ROUNDS = 7;
const CALLS = 1_000;

const key = makeIssuerKey();
const presented = await mint(key, goodClaims(1, { exp: 4_000_000_000, iat: NOW_S }));
const rules = { ...RULES, maxLifetimeMs: Number.MAX_SAFE_INTEGER };
const parsed = parseJwt(presented, rules);
if (typeof parsed === "string") throw new Error(`the token fails ${parsed}`);
const { signed, signature } = parsed;

const ways: Record<string, () => unknown> = {
  "parse and check claims": () => parseJwt(presented, rules),
  "crypto.verify, key at hand": () => isSignedBy(key.publicKey, signed, signature),
  "jose jwtVerify, key at hand": () => jwtVerify(presented, key.publicKey, { algorithms: ["RS256"] }),
};

const costs = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, run] of Object.entries(ways)) costs.get(name)?.push(await costOf(run));
}
for (const [name, values] of costs) {
  const sorted = values.toSorted((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[ROUNDS >> 1], sorted.at(-1)].map((us) => us?.toFixed(1));
  console.log(`${name.padEnd(30)} ${median} us (${least} to ${most})`);
}

async function costOf(run: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call += 1) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}
