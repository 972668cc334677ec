import { beforeEach, describe, expect, it } from "vitest";
import { BOUND_MS, createDomain, FlakyLog } from "../../test/support/domain.ts";
import { token } from "../../test/support/tokens.ts";
import type { LogRead } from "./ports.ts";
import { StalenessGuard } from "./staleness-guard.ts";
import { type Verification, verificationOf } from "./verification.ts";

describe("StalenessGuard", () => {
  const valid = verificationOf("valid", token(1, { format: "jwt" }), "local", undefined);
  const UNSYNCED = expect.objectContaining({ reason: "UNSYNCED" });
  let domain: Awaited<ReturnType<typeof createDomain>> & { readonly log: FlakyLog };

  beforeEach(async () => {
    const created = await createDomain({ log: (clock) => new FlakyLog(clock) });
    domain = { ...created, log: created.log as FlakyLog };
  });

  function demand(verification: Verification, allowsUnsyncedJwts = false): Verification {
    return new StalenessGuard(domain.feed, allowsUnsyncedJwts).demand(verification, domain.clock.monotonicMs());
  }

  async function loseTheLog(epochAgeMs: number): Promise<void> {
    const head = { epoch: "second", major: 1, minor: 0 };
    domain.log.read = async (): Promise<LogRead> => ({ entries: [], head, restarted: true, epochAgeMs });
    await domain.feed.refresh();
  }

  it("refuses VALID in an epoch younger than twice the bound: lost facts may not have come back yet", async () => {
    await loseTheLog(0);
    expect(domain.feed.isFresh(domain.clock.monotonicMs())).toBe(true);
    expect(() => demand(valid)).toThrowError(UNSYNCED);
    domain.clock.advance(2 * BOUND_MS - 1);
    await domain.feed.refresh();
    expect(() => demand(valid)).toThrowError(UNSYNCED);
    domain.clock.advance(1);
    await domain.feed.refresh();
    expect(demand(valid)).toBe(valid);
  });

  it("refuses VALID until the log has been read once the epoch is that old: what came back late was not read before", async () => {
    await loseTheLog(0);
    domain.clock.advance(1.5 * BOUND_MS);
    await domain.feed.refresh();
    domain.log.read = () => Promise.reject(new Error("unreachable"));
    domain.clock.advance(0.5 * BOUND_MS);
    await domain.feed.refresh();
    expect(domain.feed.isFresh(domain.clock.monotonicMs())).toBe(true);
    expect(() => demand(valid)).toThrowError(UNSYNCED);
  });

  it("lets VALID pass in an epoch that was old enough when it was met", async () => {
    await loseTheLog(2 * BOUND_MS);
    expect(demand(valid)).toBe(valid);
  });

  it("refuses VALID without proof within the bound of having read the log", async () => {
    domain.log.reachable = false;
    domain.clock.advance(BOUND_MS + 1);
    await domain.feed.refresh();
    expect(() => demand(valid)).toThrowError(UNSYNCED);
    expect(demand(valid, true)).toBe(valid);
  });

  it("lets every other verdict pass: no fact that was not read could make it good", async () => {
    await loseTheLog(0);
    const revoked = verificationOf("revoked", token(1, { format: "jwt" }), "fact", undefined);
    expect(demand(revoked)).toBe(revoked);
  });
});
