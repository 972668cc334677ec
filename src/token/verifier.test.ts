import { describe, expect, it } from "vitest";
import { BOUND_MS, createDomain, type Domain, FlakyLog, TTL_MS, verifyRequest } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { BILLING, REPORTS, secretOf, token } from "../../test/support/tokens.ts";
import type { Json, MachineId } from "./token.ts";
import type { Verification } from "./verification.ts";

const SECRET = secretOf(1);

describe("Verifier", () => {
  it("asks the upstream once for 1,000 concurrent verifications of one token", async () => {
    const { verifier, upstream } = await createDomain();
    const answers = Array.from({ length: 1_000 }, () => verifier.verify(verifyRequest(SECRET)));
    expect(upstream.verifyCount).toBe(1);
    upstream.nextVerify().resolve(token(1));
    const verdicts = new Set((await Promise.all(answers)).map((answer) => answer.verdict));
    expect([...verdicts]).toEqual(["valid"]);
    expect(verifier.joinedCount).toBe(999);
    expect(verifier.flightCount).toBe(0);
  });

  it("answers a hit in the same tick, without a promise", async () => {
    const domain = await createDomain();
    await observeValid(domain);
    expect(domain.verifier.verify(verifyRequest(SECRET))).not.toBeInstanceOf(Promise);
  });

  it.each([
    ["what cannot be a token", "ak_live", "invalid", "local"],
    ["what is longer than any token", `mt_${"a".repeat(20_000)}`, "invalid", "local"],
    ["what the upstream refused", secretOf(2), "invalid", "memory"],
    ["what the upstream knew", SECRET, "valid", "memory"],
    ["what it has not seen", secretOf(3), undefined, undefined],
  ])("recalls %s, asking nobody and counting nothing until told", async (_what, presented, verdict, source) => {
    const domain = await createDomain();
    const { verifier, upstream } = domain;
    await observeValid(domain);
    const refused = verifier.verify(verifyRequest(secretOf(2)));
    upstream.nextVerify().resolve(undefined);
    await refused;
    const asked = upstream.verifyCount;
    const before = verifier.counts.rows();
    const recalled = verifier.recall(presented);
    expect([recalled?.verdict, recalled?.source]).toEqual([verdict, source]);
    expect(verifier.recall(presented)).toEqual(recalled);
    expect(upstream.verifyCount).toBe(asked);
    expect(verifier.counts.rows()).toEqual(before);
    if (recalled !== undefined) verifier.count(recalled);
    const sum = (rows: typeof before) => rows.reduce((total, { count }) => total + count, 0);
    expect(sum(verifier.counts.rows()) - sum(before)).toBe(recalled === undefined ? 0 : 1);
  });

  it("cancels the question upstream when the last waiter leaves, and lets nobody join it then", async () => {
    const { verifier, upstream } = await createDomain();
    const first = new AbortController();
    const second = new AbortController();
    const answers = [first, second].map(({ signal }) => verifier.verify(verifyRequest(SECRET, { signal })));
    first.abort();
    expect(upstream.abortedCount).toBe(0);
    second.abort();
    expect(upstream.abortedCount).toBe(1);
    const third = verifier.verify(verifyRequest(SECRET));
    expect(upstream.verifyCount).toBe(2);
    for (const answer of answers) await expect(answer).rejects.toMatchObject({ reason: "CANCELED" });
    upstream.verifies[1]?.resolve(token(1));
    expect((await third).verdict).toBe("valid");
  });

  it("refuses a caller that was gone before it asked, and asks nothing", async () => {
    const { verifier, upstream } = await createDomain();
    const answer = verifier.verify(verifyRequest(SECRET, { signal: AbortSignal.abort() }));
    await expect(answer).rejects.toMatchObject({ reason: "CANCELED" });
    expect(upstream.abortedCount).toBe(upstream.verifyCount);
    expect(verifier.flightCount).toBe(0);
  });

  it.each([
    ["an empty string", ""],
    ["another kind of key", "ak_live_abcdef"],
    ["text after the prefix that no token has", "mt_abc def"],
    ["a lone surrogate", "mt_\ud800"],
    ["a NUL", "mt_abc\0def"],
    ["look-alike letters", "mt_аbc"],
    ["two parts of a JWT", "eyJh.eyJz"],
    ["a megabyte", `mt_${"a".repeat(1_000_000)}`],
    ["an opaque token longer than any", `mt_${"a".repeat(300)}`],
  ])("answers INVALID to %s without asking the upstream", async (_what, presented) => {
    const { verifier, upstream } = await createDomain();
    expect(await verifier.verify(verifyRequest(presented))).toMatchObject({ verdict: "invalid", source: "local" });
    expect(upstream.verifyCount).toBe(0);
  });

  it("takes an expiration from memory as final, by the wall clock", async () => {
    const domain = await createDomain();
    await observeValid(domain, { expiresAtMs: domain.clock.wallMs() + 5_000 });
    expect(await domain.verifier.verify(verifyRequest(SECRET))).toMatchObject({ verdict: "valid" });
    domain.clock.jumpWall(5_000);
    expect(await domain.verifier.verify(verifyRequest(SECRET))).toMatchObject({ verdict: "expired", source: "memory" });
    expect(domain.upstream.verifyCount).toBe(1);
  });

  it.each([
    ["says that it has expired", { expired: true }],
    ["gives an expiration that has passed", { expiresAtMs: 1_700_000_000_000 }],
  ])("answers EXPIRED to a 200 whose body %s", async (_what, overrides) => {
    const domain = await createDomain();
    expect(await observeValid(domain, overrides)).toMatchObject({ verdict: "expired", source: "upstream" });
  });

  it("uses the monotonic clock for ages: setting the wall clock back does not lengthen a verdict's life", async () => {
    const domain = await createDomain();
    await observeValid(domain);
    domain.clock.jumpWall(-3_600_000);
    domain.clock.advance(TTL_MS);
    expect(domain.verifier.verify(verifyRequest(SECRET))).toBeInstanceOf(Promise);
  });

  it("evaluates the policy on every call and caches the verdict without it", async () => {
    const domain = await createDomain();
    await observeValid(domain, { claims: { role: "batch", limits: [1, 2] } });
    const verdictFor = async (subjects: MachineId[], claims: Record<string, Json>) => {
      const policy = { allowedSubjects: new Set(subjects), requiredClaims: new Map(Object.entries(claims)) };
      return (await domain.verifier.verify(verifyRequest(SECRET, { policy }))).verdict;
    };
    expect(await verdictFor([REPORTS], {})).toBe("not_granted");
    expect(await verdictFor([BILLING], {})).toBe("valid");
    expect(await verdictFor([], { role: "admin" })).toBe("not_granted");
    expect(await verdictFor([], { role: "batch", limits: [1, 2] })).toBe("valid");
    expect(await verdictFor([], { limits: [2, 1] })).toBe("not_granted");
    expect(await verdictFor([], { constructor: {} })).toBe("not_granted");
  });

  it("puts tokens that the upstream knew before into the known lane", async () => {
    const domain = await createDomain();
    await observeValid(domain);
    domain.clock.advance(TTL_MS);
    void domain.verifier.verify(verifyRequest(SECRET));
    void domain.verifier.verify(verifyRequest(secretOf(2)));
    expect(domain.upstream.verifies.map((call) => call.lane)).toEqual(["known", "unknown"]);
  });
});

describe("Verifier, asked again about what it decided", () => {
  it("takes back a VALID whose token has been revoked or has expired since, and nothing else", async () => {
    const domain = await createDomain();
    const valid = await observeValid(domain, { expiresAtMs: domain.clock.wallMs() + 5_000 });
    expect(domain.verifier.recheck(valid)).toBe(valid);
    domain.clock.jumpWall(5_000);
    expect(domain.verifier.recheck(valid)).toMatchObject({ verdict: "expired" });
    domain.recorder.recordInBackground(domain.recorder.factOf(token(1), "api"));
    expect(domain.verifier.recheck(valid)).toMatchObject({ verdict: "revoked", source: "fact" });
    const invalid = await domain.verifier.verify(verifyRequest("no token"));
    expect(domain.verifier.recheck(invalid)).toBe(invalid);
  });

  it("counts its verdicts by kind and source", async () => {
    const domain = await createDomain();
    await observeValid(domain);
    await domain.verifier.verify(verifyRequest(SECRET));
    await domain.verifier.verify(verifyRequest("no token"));
    const counted = domain.verifier.counts.rows().filter(({ count }) => count > 0);
    expect(counted).toEqual([
      { verdict: "valid", source: "memory", count: 1 },
      { verdict: "valid", source: "upstream", count: 1 },
      { verdict: "invalid", source: "local", count: 1 },
    ]);
    expect(domain.verifier.counts.hits).toBe(1);
  });
});

describe("Verifier, while the log cannot be reached", () => {
  async function cutOff() {
    let log: FlakyLog | undefined;
    const domain = await createDomain({
      log: (clock) => {
        log = new FlakyLog(clock);
        return log;
      },
    });
    if (log === undefined) throw new Error("no log");
    await observeValid(domain);
    log.reachable = false;
    return { ...domain, log };
  }

  it("uses memory up to the staleness bound and asks the upstream beyond it", async () => {
    const { verifier, clock, upstream, feed } = await cutOff();
    clock.advance(feed.boundMs - feed.stalenessMs(clock.monotonicMs()));
    expect(verifier.verify(verifyRequest(SECRET))).toMatchObject({ verdict: "valid", source: "memory" });
    expect(verifier.worstStalenessMs).toBe(BOUND_MS);
    clock.advance(1);
    const answer = verifier.verify(verifyRequest(SECRET));
    upstream.nextVerify().resolve(token(1));
    expect(await answer).toMatchObject({ verdict: "valid", source: "upstream" });
  });

  it("joins no question that was asked before the call, and has two under way at most", async () => {
    const { verifier, clock, upstream } = await cutOff();
    clock.advance(2 * BOUND_MS);
    const answers = [verifier.verify(verifyRequest(SECRET))];
    for (let call = 0; call < 50; call += 1) {
      clock.advance(1);
      answers.push(verifier.verify(verifyRequest(SECRET)));
    }
    expect(upstream.verifyCount).toBe(1 + 2);
    for (let question = 0; question < 3; question += 1) {
      upstream.nextVerify().resolve(token(1));
      await settle();
    }
    expect(upstream.verifyCount).toBe(1 + 3);
    expect(new Set((await Promise.all(answers)).map(({ source }) => source))).toEqual(new Set(["upstream"]));
    expect(verifier.flightCount).toBe(0);
  });

  it("asks nothing for callers who have left before their question's turn came", async () => {
    const { verifier, clock, upstream } = await cutOff();
    clock.advance(2 * BOUND_MS);
    const answers = [1, 2].map(() => {
      clock.advance(1);
      return verifier.verify(verifyRequest(SECRET));
    });
    const leaver = new AbortController();
    clock.advance(1);
    const left = verifier.verify(verifyRequest(SECRET, { signal: leaver.signal }));
    leaver.abort();
    await expect(left).rejects.toMatchObject({ reason: "CANCELED" });
    for (let question = 0; question < 2; question += 1) upstream.nextVerify().resolve(token(1));
    await Promise.all(answers);
    await settle();
    expect(upstream.verifyCount).toBe(1 + 2);
    expect(verifier.flightCount).toBe(0);
  });

  it("uses memory again once the log has been read to its end", async () => {
    const { verifier, clock, log, feed } = await cutOff();
    clock.advance(2 * BOUND_MS);
    log.reachable = true;
    await feed.refresh();
    expect(verifier.verify(verifyRequest(SECRET))).toMatchObject({ verdict: "valid", source: "memory" });
  });

  it("suspends remembered refusals too", async () => {
    const { verifier, clock, upstream } = await cutOff();
    const first = verifier.verify(verifyRequest(secretOf(2)));
    upstream.nextVerify().resolve(undefined);
    await first;
    clock.advance(BOUND_MS + 1);
    expect(verifier.verify(verifyRequest(secretOf(2)))).toBeInstanceOf(Promise);
  });
});

describe("Verifier, with min_cursor", () => {
  it("answers only after the log has been applied up to the cursor", async () => {
    const domain = await createDomain({ log: (clock) => new FlakyLog(clock) });
    await observeValid(domain);
    const log = domain.log as FlakyLog;
    log.pushes = false;
    const fact = domain.recorder.factOf(token(1), "api");
    const minCursor = await log.append(fact);
    const answer = domain.verifier.verify(verifyRequest(SECRET, { minCursor }));
    expect(domain.verifier.verify(verifyRequest(SECRET))).toMatchObject({ verdict: "valid" });
    await domain.feed.refresh();
    expect(await answer).toMatchObject({ verdict: "revoked", source: "fact" });
    expect(domain.verifier.verify(verifyRequest(SECRET, { minCursor }))).toMatchObject({ verdict: "revoked" });
  });

  it("gives up with CURSOR_NOT_REACHED, and at once when the caller leaves", async () => {
    const { verifier, clock, revocations } = await createDomain();
    const minCursor = { ...revocations.applied, major: 99 };
    const controller = new AbortController();
    const late = verifier.verify(verifyRequest(SECRET, { minCursor }));
    const gone = verifier.verify(verifyRequest(SECRET, { minCursor, signal: controller.signal }));
    controller.abort();
    await expect(gone).rejects.toMatchObject({ reason: "CANCELED" });
    clock.advance(5_000);
    await expect(late).rejects.toMatchObject({ reason: "CURSOR_NOT_REACHED" });
    expect(clock.pendingTasks).toBe(0);
  });

  it("refuses a cursor of another log", async () => {
    const { verifier } = await createDomain();
    const minCursor = { epoch: "other", major: 1, minor: 0 };
    expect(() => verifier.verify(verifyRequest(SECRET, { minCursor }))).toThrowError(
      expect.objectContaining({ reason: "CURSOR_OF_ANOTHER_LOG" }),
    );
  });
});

async function observeValid(domain: Domain, overrides: Parameters<typeof token>[1] = {}): Promise<Verification> {
  const answer = domain.verifier.verify(verifyRequest(SECRET));
  domain.upstream.nextVerify().resolve(token(1, overrides));
  return await answer;
}
