import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BYTES, createKnown, digest, filled, known } from "../../test/support/known-tokens.ts";
import type { KnownTokens } from "./known-tokens.ts";
import type { KnownToken } from "./observation.ts";

const EDITION = {};
/** How many tokens are objects; the others are packed. */
const RINGS = [1, 2, undefined];

describe.each(RINGS)("KnownTokens of which %s are objects", (ring) => {
  it("holds what a map would, whatever is put, taken out and displaced", () => {
    const step = fc.record({ put: fc.boolean(), n: fc.nat(40), bytes: fc.integer({ min: 1, max: 50 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { tokens, counts } = createKnown(41, Number.POSITIVE_INFINITY, ring);
        const model = new Map<number, { value: KnownToken; bytes: number }>();
        for (const { put, n, bytes } of steps) {
          const value = known(n);
          if (put) tokens.put(digest(n), value, bytes);
          else tokens.delete(digest(n));
          if (put) model.set(n, { value, bytes });
          else model.delete(n);
        }
        for (let n = 0; n <= 40; n += 1) {
          expect(tokens.at(tokens.find(digest(n)))).toStrictEqual(model.get(n)?.value);
          expect(tokens.peek(digest(n))).toStrictEqual(model.get(n)?.value);
        }
        expect(tokens.size).toBe(model.size);
        expect(tokens.bytes).toBe([...model.values()].reduce((sum, { bytes }) => sum + bytes, 0));
        expect(counts.evicted).toBe(0);
      }),
    );
  });

  it("never exceeds either bound, and finds nothing but what was put under the very digest", () => {
    const step = fc.record({ n: fc.nat(200), bytes: fc.integer({ min: 1, max: 60 }), looksUp: fc.nat(200) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { tokens } = createKnown(16, 200, ring);
        for (const { n, bytes, looksUp } of steps) {
          tokens.put(digest(n), known(n), bytes);
          expect(tokens.size).toBeLessThanOrEqual(16);
          expect(tokens.bytes).toBeLessThanOrEqual(200);
          expect(tokens.peek(digest(n))?.observedAtMs).toBe(n);
          const found = tokens.at(tokens.find(digest(looksUp)));
          if (found !== undefined) expect(found.observedAtMs).toBe(looksUp);
        }
      }),
    );
  });

  it("keeps what is changed beside a token, whatever is put and looked up in between", () => {
    const step = fc.record({ kind: fc.constantFrom("put", "use", "renew", "look"), n: fc.nat(7) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { tokens } = createKnown(8, Number.POSITIVE_INFINITY, ring);
        const model = new Map<number, KnownToken>();
        for (const { kind, n } of steps) {
          if (kind === "put") {
            tokens.put(digest(n), known(n), BYTES);
            model.set(n, known(n));
          }
          for (const held of [tokens.peek(digest(n)), model.get(n)]) change(held, kind);
          expect(tokens.peek(digest(n))).toStrictEqual(model.get(n));
        }
      }),
    );
  });

  function change(held: KnownToken | undefined, kind: string): void {
    if (held !== undefined && kind === "use") held.uses += 1;
    if (held !== undefined && kind === "renew") held.isRenewing = true;
  }

  it("evicts what was not looked up since the hand passed, and tells of it", () => {
    const { tokens, counts } = filled(8, ring);
    for (const n of [0, 1, 2, 4, 5, 6, 7]) tokens.find(digest(n));
    tokens.put(digest(8), known(8), BYTES);
    expect(counts.evicted).toBe(1);
    expect(tokens.find(digest(3))).toBe(-1);
    for (const n of [0, 1, 2, 4, 5, 6, 7, 8]) expect(tokens.peek(digest(n))?.observedAtMs).toBe(n);
  });

  it("does not count a peek as use", () => {
    const { tokens } = filled(2, ring);
    tokens.find(digest(1));
    tokens.peek(digest(0));
    tokens.put(digest(2), known(2), BYTES);
    expect(tokens.peek(digest(0))).toBeUndefined();
  });

  it("keeps a hot token through any number of others that come once", () => {
    const { tokens } = filled(100, ring);
    for (let n = 100; n < 5_000; n += 1) {
      tokens.find(digest(7));
      tokens.put(digest(n), known(n), BYTES);
    }
    expect(tokens.peek(digest(7))?.observedAtMs).toBe(7);
    expect(tokens.size).toBe(100);
  });

  it("finds room at once though all are used", () => {
    const { tokens, counts } = filled(1_000, ring);
    for (let n = 0; n < 1_000; n += 1) tokens.find(digest(n));
    tokens.put(digest(1_000), known(1_000), BYTES);
    expect(counts.evicted).toBe(1);
    expect(tokens.size).toBe(1_000);
    expect(tokens.peek(digest(1_000))?.observedAtMs).toBe(1_000);
  });

  it("keeps nothing that is larger than all may be, nor what it would have taken the place of", () => {
    const { tokens } = createKnown(4, 100);
    tokens.put(digest(1), known(1), 50);
    tokens.put(digest(1), known(2), 101);
    expect([tokens.size, tokens.bytes]).toEqual([0, 0]);
    expect(tokens.find(digest(1))).toBe(-1);
  });

  it("holds nothing with room for nothing", () => {
    const { tokens } = createKnown(0);
    tokens.put(digest(1), known(1), 1);
    expect(tokens.find(digest(1))).toBe(-1);
  });

  it("is as new after a clear", () => {
    const { tokens } = filled(50, ring);
    tokens.clear();
    expect([tokens.size, tokens.bytes, tokens.find(digest(3))]).toEqual([0, 0, -1]);
    // Each in the place of another.
    for (let n = 50; n > 0; n -= 1) tokens.put(digest(n), known(n), BYTES);
    for (let n = 50; n > 0; n -= 1) expect(tokens.peek(digest(n))).toStrictEqual(known(n));
    for (let n = 50; n > 0; n -= 1) expect(tokens.peek(digest(n))).toStrictEqual(known(n));
  });
});

describe.each(RINGS)("an answer that stands, with %s tokens that are objects", (ring) => {
  const TERM = { untilMs: 100, expiresAtMs: 1_000 };

  function standing(encoded = "answer\xff") {
    const { tokens } = filled(3, ring);
    const slot = tokens.find(digest(1));
    expect(tokens.stand(slot, EDITION, encoded, TERM)).toBe(true);
    return { tokens, slot };
  }

  function answer(tokens: KnownTokens, slot: number, edition: object = EDITION, nowMs = 0, wallMs = 0) {
    const kept = tokens.standing(slot, edition, nowMs, wallMs);
    return kept?.bytes.toString("latin1", kept.from, kept.to);
  }

  it("is there until its time, by either clock", () => {
    const { tokens, slot } = standing();
    expect(answer(tokens, slot, EDITION, 99, 999)).toBe("answer\xff");
    expect(answer(tokens, slot, EDITION, 100, 999)).toBeUndefined();
    expect(answer(tokens, slot, EDITION, 99, 1_000)).toBeUndefined();
    expect(answer(tokens, tokens.find(digest(2)))).toBeUndefined();
  });

  it("is told from those of its neighbours", () => {
    const { tokens, slot } = standing("b".repeat(448));
    for (const n of [0, 2]) tokens.stand(tokens.find(digest(n)), EDITION, `${n}`.repeat(448), TERM);
    expect(answer(tokens, slot)).toBe("b".repeat(448));
    expect(tokens.at(tokens.find(digest(2)))?.observedAtMs).toBe(2);
  });

  it("does not stand when it is longer than there is room for, or is not there", () => {
    const { tokens } = filled(3, ring);
    const slot = tokens.find(digest(1));
    for (const encoded of ["a".repeat(449), "", undefined]) {
      expect(tokens.stand(slot, EDITION, encoded, TERM)).toBe(false);
      expect(answer(tokens, slot)).toBeUndefined();
    }
  });

  it("stands no longer with another edition of the facts, nor with the first one again", () => {
    const { tokens, slot } = standing();
    expect(answer(tokens, slot, {})).toBeUndefined();
    expect(answer(tokens, slot)).toBeUndefined();
  });

  it("stands no longer once all are lifted, and may stand anew as it was kept", () => {
    const { tokens, slot } = standing();
    tokens.liftAll();
    expect(answer(tokens, slot)).toBeUndefined();
    tokens.stand(slot, EDITION, undefined, { untilMs: 5, expiresAtMs: Number.POSITIVE_INFINITY });
    expect(answer(tokens, slot, EDITION, 4, 1e15)).toBe("answer\xff");
  });

  it("survives that the hand passes and that others are evicted", () => {
    const { tokens, slot } = standing();
    for (let n = 10; n < 20; n += 1) {
      tokens.find(digest(1));
      tokens.put(digest(n), known(n), BYTES);
    }
    expect(answer(tokens, slot)).toBe("answer\xff");
  });

  it.each([
    ["observed anew", (tokens: KnownTokens) => tokens.put(digest(1), known(1), BYTES)],
    ["replaced by another in its place", replace],
    ["put again after everything was cleared", refill],
  ])("does not stand for a token that was %s, nor is it kept", (_what, change) => {
    const { tokens } = standing();
    change(tokens);
    for (let n = 0; n < 9; n += 1) {
      const slot = tokens.find(digest(n));
      if (slot < 0) continue;
      expect(answer(tokens, slot)).toBeUndefined();
      expect(tokens.stand(slot, EDITION, undefined, TERM)).toBe(false);
    }
  });

  function replace(tokens: KnownTokens): void {
    tokens.delete(digest(1));
    tokens.put(digest(8), known(8), BYTES);
  }

  function refill(tokens: KnownTokens): void {
    tokens.clear();
    for (let n = 0; n < 3; n += 1) tokens.put(digest(n), known(n), BYTES);
  }
});
