import { describe, expect, it } from "vitest";
import { BOUND_MS, createDomain, FlakyLog, TTL_MS, verifyRequest } from "../../test/support/domain.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { BILLING, REPORTS, secretOf, token, tokenId } from "../../test/support/tokens.ts";
import { Budget } from "./budget.ts";
import { Revalidator } from "./revalidator.ts";
import type { MachineId } from "./token.ts";

const BYTES = Buffer.from(secretOf(1));
const HOT_MS = 0.75 * TTL_MS;
const STEP_MS = BOUND_MS / 3;

/** A token whose answer stands, on a log that is read as a fleet's is. With `isPacked` it is, before each question. */
async function createStanding(isPacked = false) {
  const clock = new FakeClock();
  const flaky = new FlakyLog(clock);
  const domain = await createDomain({
    clock,
    log: () => flaky,
    ...(isPacked ? { maxObjects: 1 } : {}),
    revalidator: ({ recorder, revocations }) => {
      const budget = new Budget({ clock, perSecond: 5, perDay: 1_000 });
      return new Revalidator({ store: undefined, recorder, revocations, clock, budget, ttlMs: TTL_MS });
    },
  });
  for (const n of [1, 2]) {
    const verification = domain.verifier.verify(verifyRequest(secretOf(n)));
    domain.upstream.nextVerify().resolve(token(n));
    await verification;
  }
  let encodedCount = 0;
  const ask = (subjects?: ReadonlySet<MachineId>) => {
    // To unpack one is to pack the other.
    if (isPacked) domain.verifier.recall(secretOf(2));
    const recalled = domain.verifier.recallBytes(BYTES, 0, BYTES.length, subjects);
    if (recalled !== undefined && "bytes" in recalled) return "stands";
    // As a lane would.
    if (recalled !== undefined && recalled.encoded === undefined) {
      recalled.encoded = "answer";
      encodedCount += 1;
    }
    return recalled?.verdict;
  };
  expect([ask(), ask(), ask()]).toEqual(["valid", "stands", "stands"]);
  return { ...domain, flaky, ask, encodedCount: () => encodedCount };
}

describe.each([
  ["an object", false],
  ["packed", true],
])("an answer that stands, of a token that is %s", (_what, isPacked) => {
  it.each([
    ["the token", { tokenId: tokenId(1) }],
    ["its machine", { subject: BILLING }],
    ["everything", { all: true }],
  ] as const)("is lifted when %s is invalidated", async (_what, target) => {
    const { verifier, ask } = await createStanding(isPacked);
    verifier.invalidate(target);
    expect(ask()).toBeUndefined();
  });

  it("stands again at once where what was invalidated or revoked is another's", async () => {
    const { verifier, recorder, ask, encodedCount } = await createStanding(isPacked);
    verifier.invalidate({ tokenId: tokenId(2) });
    expect(ask()).toBe("stands");
    await recorder.record(recorder.factOf(token(2), "api"));
    expect(ask()).toBe("stands");
    expect(encodedCount()).toBe(1);
  });

  it("is lifted when its token expires", async () => {
    const { clock, upstream, verifier, ask } = await createStanding(isPacked);
    verifier.invalidate({ tokenId: tokenId(1) });
    clock.advance(1);
    const verification = verifier.verify(verifyRequest(secretOf(1)));
    upstream.nextVerify().resolve(token(1, { expiresAtMs: clock.wallMs() + BOUND_MS / 2 }));
    await verification;
    expect([ask(), ask()]).toEqual(["valid", "stands"]);
    clock.advance(BOUND_MS / 2);
    expect(ask()).toBe("expired");
  });

  it("is lifted by a fact about the token", async () => {
    const { recorder, ask } = await createStanding(isPacked);
    await recorder.record(recorder.factOf(token(1), "api"));
    expect(ask()).toBe("revoked");
  });

  it("decides nothing while the view of the facts is not fresh", async () => {
    const { flaky, clock, ask } = await createStanding(isPacked);
    flaky.reachable = false;
    clock.advance(BOUND_MS + 1);
    await settle();
    expect(ask()).toBeUndefined();
  });

  it("is not given to who may know of other machines only", async () => {
    const { ask } = await createStanding(isPacked);
    expect(ask(new Set([REPORTS]))).toBe("not_granted");
    expect(ask(new Set([BILLING]))).toBe("valid");
  });

  it("keeps nobody from renewing a hot token", async () => {
    const { clock, upstream, ask } = await createStanding(isPacked);
    // In steps, so that the log is read meanwhile.
    for (let passedMs = 0; passedMs < HOT_MS; passedMs += STEP_MS) {
      clock.advance(STEP_MS);
      await settle();
    }
    expect(ask()).toBe("valid");
    await settle();
    expect(upstream.verifies.filter(({ secret }) => secret === secretOf(1))).toHaveLength(1);
  });
});
