import { describe, expect, it } from "vitest";
import { BILLING, REPORTS, tokenId } from "../../test/support/tokens.ts";
import { withoutCovered } from "./facts.ts";
import type { RevocationFact, SubjectFact, TokenFact } from "./ports.ts";

const BASE = { reason: undefined, revokedAtMs: 0, source: "api", origin: "r" } as const;

function ofToken(n: number, rememberUntilMs: number): TokenFact {
  return { ...BASE, tokenId: tokenId(n), subject: BILLING, rememberUntilMs };
}

function ofSubject(issuedBeforeMs: number, rememberUntilMs: number, subject = BILLING): SubjectFact {
  return { ...BASE, subject, issuedBeforeMs, rememberUntilMs };
}

describe("withoutCovered", () => {
  it.each<[string, readonly RevocationFact[], readonly number[]]>([
    [
      "facts about different things",
      [ofToken(1, 9), ofToken(2, 9), ofSubject(5, 9), ofSubject(5, 9, REPORTS)],
      [0, 1, 2, 3],
    ],
    ["a fact that a later one repeats", [ofToken(1, 9), ofToken(2, 9), ofToken(1, 9)], [1, 2]],
    ["a fact that is remembered for longer than the later one", [ofToken(1, 10), ofToken(1, 9)], [0, 1]],
    ["a lower watermark before a higher one", [ofSubject(5, 9), ofSubject(6, 9)], [1]],
    ["a higher watermark before a lower one", [ofSubject(6, 9), ofSubject(5, 9)], [0, 1]],
    ["what two later ones say together", [ofSubject(6, 10), ofSubject(6, 9), ofSubject(5, 10)], [1, 2]],
  ])("of %s keeps those that say something new", (_what, facts, kept) => {
    expect(withoutCovered(facts, (fact) => fact)).toEqual(kept.map((index) => facts[index]));
  });
});
