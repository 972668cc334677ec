import { describe, expect, it } from "vitest";
import { createDomain, FlakyLog, LONGEST_JWT_MS, RETENTION_MS } from "../../test/support/domain.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { token, tokenId } from "../../test/support/tokens.ts";

/** Two replicas on one log that is read three times a second. */
async function fleet() {
  const clock = new FakeClock();
  const log = new FlakyLog(clock);
  // Never both at the same instant: what one has said again, the other has read when its turn comes.
  const first = await createDomain({ clock, log: () => log, random: () => 0.2 });
  const second = await createDomain({ clock, log: () => log, random: () => 0.9 });
  for (const { recorder } of [first, second]) recorder.startRenewing();
  const pass = async (ms: number) => {
    for (let passedMs = 0; passedMs < ms; passedMs += 60_000) {
      clock.advance(60_000);
      await settle();
    }
  };
  const entries = async () =>
    (await log.read(undefined)).entries.map(({ fact }) => ("tokenId" in fact ? fact.tokenId : ""));
  return { clock, log, first, second, pass, entries };
}

describe("facts that outlive the log's entries", () => {
  it("are said again before the log drops the entry, by one replica for all, and are no news to watchers", async () => {
    const { first, second, pass, entries } = await fleet();
    await first.recorder.record(first.recorder.factOf(token(1, { format: "jwt" }), "api"));
    await first.recorder.record(first.recorder.factOf(token(2), "api"));
    await settle();
    await pass(RETENTION_MS / 2 - 60_000);
    expect(await entries()).toEqual([tokenId(1), tokenId(2)]);
    await pass(RETENTION_MS / 4);
    expect(await entries()).toEqual([tokenId(1), tokenId(2), tokenId(1)]);
    expect(second.revocations.countAfter({ ...second.revocations.applied, major: 0, minor: 0 })).toBe(2);
  });

  it("are said again soon by a replica that found them in the log when it started: nobody knows for how long they were", async () => {
    const { first, log, pass, clock, entries } = await fleet();
    await first.recorder.record(first.recorder.factOf(token(1, { format: "jwt" }), "api"));
    first.recorder.close();
    const newcomer = await createDomain({ clock, log: () => log });
    newcomer.recorder.startRenewing();
    await pass(RETENTION_MS / 8);
    expect((await entries()).length).toBeGreaterThan(1);
  });

  it("are said later when the log was away at their time", async () => {
    const { first, log, pass, entries } = await fleet();
    await first.recorder.record(first.recorder.factOf(token(1, { format: "jwt" }), "api"));
    await settle();
    await pass(RETENTION_MS / 2 - 60_000);
    log.reachable = false;
    await pass(RETENTION_MS / 4);
    expect(first.errors).not.toEqual([]);
    log.reachable = true;
    expect(await entries()).toEqual([tokenId(1)]);
    await pass(RETENTION_MS / 8);
    expect((await entries()).length).toBeGreaterThan(1);
  });

  it("are said no more by a replica that has closed", async () => {
    const { first, second, pass, entries } = await fleet();
    await first.recorder.record(first.recorder.factOf(token(1, { format: "jwt" }), "api"));
    await settle();
    for (const { recorder } of [first, second]) recorder.close();
    await pass(RETENTION_MS / 2);
    expect(await entries()).toEqual([tokenId(1)]);
  });

  it("are said no more once they need not be remembered", async () => {
    const { first, second, pass, entries } = await fleet();
    const dying = token(1, { format: "jwt", expiresAtMs: first.clock.wallMs() + RETENTION_MS / 2 });
    await first.recorder.record(first.recorder.factOf(dying, "api"));
    await pass(2 * RETENTION_MS);
    expect(second.revocations.liveCount).toBe(0);
    expect(await entries()).toEqual([tokenId(1)]);
  });

  it("are remembered for no longer than a JWT may live", async () => {
    const { first } = await fleet();
    const eternal = first.recorder.factOf(token(1, { format: "jwt", expiresAtMs: 8e15 }), "api");
    expect(eternal.rememberUntilMs).toBe(first.clock.wallMs() + LONGEST_JWT_MS);
  });
});
