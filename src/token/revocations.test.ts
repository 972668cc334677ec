import { describe, expect, it } from "vitest";
import { MIN_HOLD_MS } from "../../test/support/domain.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { BILLING, REPORTS, token, tokenId } from "../../test/support/tokens.ts";
import { type Cursor, formatCursor, parseCursor, startOf } from "./cursor.ts";
import { factKeyOf } from "./facts.ts";
import type { LogEntry, SubjectFact, TokenFact } from "./ports.ts";
import { Revocations } from "./revocations.ts";

function at(major: number, epoch = "e1"): Cursor {
  return { epoch, major, minor: 0 };
}

function create() {
  const clock = new FakeClock();
  const revocations = new Revocations({ clock, minHoldMs: MIN_HOLD_MS });
  revocations.restart("e1");
  const fact = (n: number, rememberForMs = 3_600_000): TokenFact => ({
    tokenId: tokenId(n),
    subject: BILLING,
    reason: undefined,
    revokedAtMs: clock.wallMs(),
    rememberUntilMs: clock.wallMs() + rememberForMs,
    source: "api",
    origin: "r",
  });
  const entry = (n: number, major = n, rememberForMs?: number): LogEntry => ({
    cursor: at(major),
    fact: fact(n, rememberForMs),
  });
  return { clock, revocations, fact, entry };
}

describe("Revocations", () => {
  it("applies an entry once, however often the log shows it", () => {
    const { revocations, entry } = create();
    expect(revocations.apply(entry(1))).toBe(true);
    expect(revocations.apply(entry(1))).toBe(false);
    expect(revocations.countAfter(startOf("e1"))).toBe(1);
  });

  it("takes a second entry about a token as progress but not as news, and remembers as long as either says", () => {
    const { revocations, entry } = create();
    revocations.apply(entry(1, 1, 1_000));
    expect(revocations.apply(entry(1, 2, 9_000))).toBe(false);
    expect(revocations.applied).toEqual(at(2));
    expect(revocations.recordedAt(entry(1, 1, 9_000).fact)).toEqual(at(1));
    expect(revocations.find(tokenId(1))?.rememberUntilMs).toBe(entry(1, 1, 9_000).fact.rememberUntilMs);
  });

  it("never forgets a fact early because the wall clock jumped forward", () => {
    const { revocations, entry, clock } = create();
    revocations.apply(entry(1));
    clock.jumpWall(10 * 3_600_000);
    clock.advance(MIN_HOLD_MS - 1);
    expect(revocations.liveCount).toBe(1);
    clock.advance(30_000);
    expect(revocations.liveCount).toBe(0);
  });

  it("forgets a fact after its time, and its history with it", () => {
    const { revocations, entry, clock } = create();
    for (const n of [1, 2, 3]) revocations.apply(entry(n, n, n === 2 ? 1 : 3_600_000));
    clock.advance(MIN_HOLD_MS);
    expect(revocations.after(startOf("e1"), 10).map(({ cursor }) => cursor.major)).toEqual([1, 3]);
    expect(revocations.recordedAt(entry(2).fact)).toBeUndefined();
    expect(revocations.canResume(at(1))).toBe("too_old");
    expect(revocations.canResume(at(2))).toBe("ok");
    expect(revocations.canResume(at(2, "e2"))).toBe("epoch_changed");
  });

  it("pages through its history by cursor", () => {
    const { revocations, entry } = create();
    for (let n = 1; n <= 100; n += 1) revocations.apply(entry(n, 2 * n));
    expect(revocations.after(at(0), 3).map(({ cursor }) => cursor.major)).toEqual([2, 4, 6]);
    expect(revocations.after(at(7), 2).map(({ cursor }) => cursor.major)).toEqual([8, 10]);
    expect(revocations.after(at(200), 5)).toEqual([]);
    expect(revocations.after(at(199), 5)).toHaveLength(1);
  });

  it("knows which of its facts the log lacks", () => {
    const { revocations, entry, fact } = create();
    revocations.learn(fact(1));
    revocations.apply(entry(2));
    expect(revocations.unrecorded().map(factKeyOf)).toEqual([tokenId(1)]);
    revocations.restart("e2");
    expect(revocations.unrecorded()).toHaveLength(2);
    expect(revocations.applied).toEqual(startOf("e2"));
  });

  it("advances to the log's end but never back", () => {
    const { revocations, entry } = create();
    revocations.apply(entry(5));
    revocations.advance(at(3));
    expect(revocations.applied).toEqual(at(5));
    revocations.advance(at(9));
    expect(revocations.applied).toEqual(at(9));
  });
});

describe("cursor", () => {
  it("survives being written and read", () => {
    const cursor = { epoch: "0a9f", major: 1_700_000_000_000, minor: 12 };
    expect(parseCursor(formatCursor(cursor))).toEqual(cursor);
  });

  it.each(["", "e1", "e1.1", "e1.1-", "e1.-1-0", "E1.1-1", "e1.1-1 ", "e1.1-1\n", "e1.1e3-1", `${"a".repeat(33)}.1-1`])(
    "refuses %j with CURSOR_MALFORMED",
    (text) => {
      expect(() => parseCursor(text)).toThrowError(expect.objectContaining({ reason: "CURSOR_MALFORMED" }));
    },
  );
});

describe("facts about machines and keys", () => {
  function watermark(issuedBeforeMs: number, rememberUntilMs = issuedBeforeMs + 1_000_000): SubjectFact {
    const { tokenId: _, subject: __, ...base } = create().fact(1);
    return { ...base, subject: BILLING, issuedBeforeMs, rememberUntilMs };
  }

  it("make one watermark, whichever of two was learned first: the higher, remembered as long as either says", () => {
    for (const facts of [
      [watermark(5_000, 90_000), watermark(7_000, 80_000)],
      [watermark(7_000, 80_000), watermark(5_000, 90_000)],
    ]) {
      const { revocations } = create();
      for (const fact of facts) revocations.learn(fact);
      expect(revocations.held(watermark(0))).toMatchObject({ issuedBeforeMs: 7_000, rememberUntilMs: 90_000 });
      expect(revocations.liveCount).toBe(1);
    }
  });

  it("refuse what was minted before, and nothing else", () => {
    const { revocations } = create();
    revocations.learn(watermark(7_000));
    expect(revocations.findFor(token(1, { createdAtMs: 6_999 }))).toBeDefined();
    expect(revocations.findFor(token(1, { createdAtMs: 7_000 }))).toBeUndefined();
    expect(revocations.findFor(token(1, { createdAtMs: 0, subject: REPORTS }))).toBeUndefined();
  });

  it("are news to watchers when the watermark rises, and take the place of the lower one", () => {
    const { revocations, entry } = create();
    expect(revocations.apply({ cursor: at(1), fact: watermark(5_000) })).toBe(true);
    revocations.apply(entry(2, 2));
    expect(revocations.apply({ cursor: at(3), fact: watermark(4_000) })).toBe(false);
    expect(revocations.apply({ cursor: at(4), fact: watermark(6_000) })).toBe(true);
    expect(revocations.after(startOf("e1"), 10).map(({ cursor }) => cursor.major)).toEqual([2, 4]);
    expect(revocations.recordedAt(watermark(6_000))).toEqual(at(4));
    expect(revocations.recordedAt(watermark(6_001))).toBeUndefined();
  });

  it("are offered again when the log holds only a lower watermark", () => {
    const { revocations } = create();
    revocations.apply({ cursor: at(1), fact: watermark(5_000) });
    expect(revocations.unrecorded()).toEqual([]);
    revocations.learn(watermark(6_000));
    expect(revocations.unrecorded()).toMatchObject([{ issuedBeforeMs: 6_000 }]);
  });

  it("cannot be confused: an id of a key is never that of a token or a machine", () => {
    const { revocations } = create();
    const { tokenId: _, subject: __, ...base } = create().fact(1);
    revocations.learn({ ...base, keyId: tokenId(1) });
    revocations.learn({ ...base, keyId: BILLING });
    expect(revocations.findFor(token(1))).toBeUndefined();
    expect(revocations.findFor(token(1, { format: "jwt", keyId: BILLING }))).toBeDefined();
  });
});
