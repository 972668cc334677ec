import { describe, expect, it } from "vitest";
import { BYTES, createKnown, digest, filled, known } from "../../test/support/known-tokens.ts";
import type { KnownTokens } from "./known-tokens.ts";
import type { KnownToken } from "./observation.ts";
import { verificationOf } from "./verification.ts";

const EDITION = {};

describe("a known token that was packed", () => {
  /** Of which the first is packed twice. */
  function packed() {
    const { tokens } = filled(3, 1);
    for (const n of [0, 1, 0, 2]) tokens.peek(digest(n));
    return tokens;
  }

  /** Has others looked up, so that what is under `n` is packed, and unpacks it. */
  function repacked(tokens: KnownTokens, n: number): KnownToken | undefined {
    for (const other of [1, 2]) tokens.peek(digest(other));
    return tokens.peek(digest(n));
  }

  it("is another object with the same in it", () => {
    const { tokens } = createKnown(3, Number.POSITIVE_INFINITY, 1);
    const first = known(0);
    tokens.put(digest(0), first, BYTES);
    expect(tokens.peek(digest(0))).toBe(first);
    for (const n of [1, 2]) tokens.put(digest(n), known(n), BYTES);
    expect(repacked(tokens, 0)).not.toBe(first);
    expect(repacked(tokens, 0)).toStrictEqual(first);
  });

  it("is as it was last observed, once it has been put anew", () => {
    const tokens = packed();
    const anew = { ...known(0), token: { ...known(9).token }, observedAtMs: 9, observedAtMonotonicMs: 9 };
    tokens.put(digest(0), anew, BYTES);
    expect(repacked(tokens, 0)).toStrictEqual(anew);
  });

  it("is not shown for one that has taken its place", () => {
    const tokens = packed();
    tokens.delete(digest(0));
    tokens.put(digest(9), known(9), BYTES);
    expect(repacked(tokens, 9)).toStrictEqual(known(9));
    expect(tokens.peek(digest(0))).toBeUndefined();
  });

  it("is not shown for one in its place that cannot be packed", () => {
    const tokens = packed();
    const large = { ...known(9), token: { ...known(9).token, claims: "c".repeat(600) } };
    tokens.delete(digest(0));
    tokens.put(digest(9), large, BYTES);
    expect(repacked(tokens, 9)).toBe(large);
  });

  it("is not shown after a clear", () => {
    const tokens = packed();
    tokens.clear();
    for (const n of [9, 1, 2]) tokens.put(digest(n), known(n), BYTES);
    expect(repacked(tokens, 9)).toStrictEqual(known(9));
  });
});

describe("an answer that was encoded before its token was packed", () => {
  const TERM = { untilMs: 100, expiresAtMs: 1_000 };

  function encoded(text: string): KnownTokens {
    const { tokens } = filled(3, 1);
    const held = tokens.peek(digest(1));
    if (held === undefined) throw new Error("nothing is known");
    held.valid = { ...verificationOf("valid", held.token, "memory", 1), encoded: text };
    tokens.peek(digest(2));
    return tokens;
  }

  function found(text: string): [KnownTokens, number] {
    const tokens = encoded(text);
    return [tokens, tokens.find(digest(1))];
  }

  function stands(tokens: KnownTokens, slot: number): boolean {
    return tokens.stand(slot, EDITION, tokens.at(slot)?.valid?.encoded, TERM);
  }

  it("stands without being encoded again", () => {
    const [tokens, slot] = found("answer");
    expect(tokens.at(slot)?.valid).toBeUndefined();
    expect(tokens.standing(slot, EDITION, 0, 0)).toBeUndefined();
    expect(stands(tokens, slot)).toBe(true);
    const kept = tokens.standing(slot, EDITION, 0, 0);
    expect(kept?.bytes.toString("latin1", kept.from, kept.to)).toBe("answer");
  });

  it("does not stand when it is longer than there is room for", () => {
    const [tokens, slot] = found("a".repeat(449));
    expect(stands(tokens, slot)).toBe(false);
  });

  it("does not stand for what has been put in its place", () => {
    const [tokens, slot] = found("answer");
    tokens.put(digest(1), known(1), BYTES);
    expect(tokens.find(digest(1))).toBe(slot);
    expect(stands(tokens, slot)).toBe(false);
  });

  it("does not count as a look-up", () => {
    const tokens = encoded("answer");
    tokens.find(digest(0));
    tokens.put(digest(3), known(3), BYTES);
    expect(tokens.find(digest(1))).toBe(-1);
    expect(tokens.peek(digest(2))).toBeDefined();
  });
});
