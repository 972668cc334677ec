import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../src/system-clock.ts";
import type { KnownToken } from "../../src/token/observation.ts";
import type { VerdictStore } from "../../src/token/ports.ts";
import { REPORTS, secretOf, token } from "../support/tokens.ts";

export interface StoreHarness {
  /** The shared verdicts, as a process that verifies with the credential of `scope` sees them. */
  open(options?: { readonly scope?: string; readonly ttlMs?: number }): Promise<VerdictStore>;
  reset(): Promise<void>;
  stop(): Promise<void>;
}

const EPOCH = "epoch1";

/** What the domain demands of a store of shared verdicts. All run on this machine's clock. */
export function describeVerdictStore(name: string, start: () => Promise<StoreHarness>): void {
  describe(`the verdict store in ${name}`, () => {
    let harness: StoreHarness;
    beforeAll(async () => {
      harness = await start();
    });
    afterEach(() => harness.reset());
    afterAll(() => harness?.stop());
    const open: StoreHarness["open"] = async (options) => {
      const store = await harness.open(options);
      await reachable(store);
      return store;
    };

    itSharesObservations(open);
    itForgetsObservations(open);
    itGrantsClaims(open);
  });
}

function itSharesObservations(open: StoreHarness["open"]): void {
  it("gives another replica the token exactly as it was observed", async () => {
    const writer = await open();
    const reader = await open();
    const observed = observation(1, {
      claims: { permissions: ["read", { nested: [null, 1.5, true] }], ß: '"\u0000🔑' },
      scopes: [REPORTS],
      expiresAtMs: 4_000_000_000_000,
      lastUsedAtMs: 1_700_000_000_001,
    });
    writer.put(secretOf(1), EPOCH, observed);
    const found = await eventually(reader, 1);
    expect(found.token).toEqual(observed.token);
    expect(found.uses).toBe(0);
  });

  it.each([
    ["null", null],
    ["false", false],
    ["a text", "text"],
    ["nothing", undefined],
  ])("keeps claims that are %s", async (_, claims) => {
    const store = await open();
    store.put(secretOf(1), EPOCH, observation(1, { claims }));
    expect((await eventually(store, 1)).token.claims).toEqual(claims);
  });

  it("never makes an observation younger than it is", async () => {
    const store = await open();
    const observed = observation(1, {}, 5_000);
    store.put(secretOf(1), EPOCH, observed);
    const found = await eventually(store, 1);
    expect(found.observedAtMonotonicMs).toBeLessThanOrEqual(observed.observedAtMonotonicMs);

    // Written again by who promoted it: still no younger.
    const other = await open();
    other.put(secretOf(1), EPOCH, found);
    await expect
      .poll(async () => (await store.get(secretOf(1), EPOCH))?.observedAtMonotonicMs)
      .toBeLessThanOrEqual(found.observedAtMonotonicMs);
  });

  it("shares nothing between credentials, epochs and tokens", async () => {
    const store = await open();
    const stranger = await open({ scope: "another credential" });
    store.put(secretOf(1), EPOCH, observation(1));
    await eventually(store, 1);
    expect(await stranger.get(secretOf(1), EPOCH)).toBeUndefined();
    expect(await store.get(secretOf(1), "epoch2")).toBeUndefined();
    expect(await store.get(secretOf(2), EPOCH)).toBeUndefined();
  });
}

function itForgetsObservations(open: StoreHarness["open"]): void {
  it("keeps nothing that could no longer decide", async () => {
    const store = await open({ ttlMs: 20_000 });
    store.put(secretOf(2), EPOCH, observation(2, {}, 20_001));
    store.put(secretOf(3), EPOCH, observation(3, { expiresAtMs: Date.now() - 1 }));
    store.put(secretOf(1), EPOCH, observation(1));
    await eventually(store, 1);
    expect(await store.get(secretOf(2), EPOCH)).toBeUndefined();
    expect(await store.get(secretOf(3), EPOCH)).toBeUndefined();
  });

  it("forgets an observation when its TTL has passed since the request, or the token has expired", async () => {
    const store = await open({ ttlMs: 10_000 });
    store.put(secretOf(1), EPOCH, observation(1, {}, 9_000));
    store.put(secretOf(2), EPOCH, observation(2, { expiresAtMs: Date.now() + 1_000 }));
    store.put(secretOf(3), EPOCH, observation(3));
    for (const n of [1, 2, 3]) await eventually(store, n);
    await expect.poll(() => store.get(secretOf(1), EPOCH), { timeout: 5_000 }).toBeUndefined();
    await expect.poll(() => store.get(secretOf(2), EPOCH), { timeout: 5_000 }).toBeUndefined();
    await eventually(store, 3);
  });
}

function itGrantsClaims(open: StoreHarness["open"]): void {
  it("grants a claim to one replica at a time, and again when its lease has passed", async () => {
    const a = await open();
    const b = await open();
    const claims = await Promise.all([a.claim(secretOf(1), 500), b.claim(secretOf(1), 500), a.claim(secretOf(1), 500)]);
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await b.claim(secretOf(2), 60_000)).toBe(true);
    await expect.poll(() => b.claim(secretOf(1), 60_000), { timeout: 5_000 }).toBe(true);
  });
}

/** A busy machine may take longer than the budget, which is a miss and no fault: ask again. */
async function eventually(store: VerdictStore, n: number): Promise<KnownToken> {
  return await vi.waitFor(async () => {
    const found = await store.get(secretOf(n), EPOCH);
    if (found === undefined) throw new Error(`nothing about token ${n}`);
    return found;
  }, 5_000);
}

let unused = 1_000_000;

/** A store that cannot be reached yet misses, and keeps nothing. */
async function reachable(store: VerdictStore): Promise<void> {
  await expect.poll(() => store.claim(secretOf(unused++), 60_000), { timeout: 5_000 }).toBe(true);
}

function observation(n: number, overrides: Parameters<typeof token>[1] = {}, ageMs = 0): KnownToken {
  return {
    token: token(n, overrides),
    observedAtMonotonicMs: systemClock.monotonicMs() - ageMs,
    observedAtMs: systemClock.wallMs() - ageMs,
    uses: 3,
  };
}
