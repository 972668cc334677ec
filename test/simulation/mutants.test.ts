import { describe, expect, it } from "vitest";
import { type Exploration, explore } from "./explore.ts";
import { type Edit, MUTANTS } from "./mutants.ts";
import { loadMutated, type MutatedDomain } from "./mutated-domain.ts";

/** A mutant that survives so many histories would survive in practice. */
const MOST_HISTORIES = 3_000;
const BASELINE_HISTORIES = 200;
/** Seeds of histories that show what fewer than one in a hundred show. They are played before the others. */
const SHOWN_BY: Readonly<Record<string, number>> = {
  "a push counts as contact with the log": 294,
  "contact is dated at the end of the read": 263,
  "WAIT_FLEET takes a log that cannot be asked for consent": 162,
  "facts are forgotten by the wall clock alone": 134,
  "a question of any age is joined while the facts are not fresh": 446,
  "a pending fact is dropped by the wall clock": 1_321,
  "a new epoch counts as whole at once": 12_708,
  "a watermark moves back": 1_449,
};

describe("the simulation", () => {
  it("finds nothing wrong with an unchanged copy of the domain", { timeout: 120_000 }, async () => {
    const { failure } = await tryOut([], BASELINE_HISTORIES);
    expect(failure).toBeUndefined();
  });

  it.each(MUTANTS)("notices when $name", { timeout: 120_000 }, async ({ name, edits, seeds }) => {
    const { failure } = await tryOut(edits, MOST_HISTORIES, seeds, SHOWN_BY[name]);
    expect(failure).toBeDefined();
  });

  it("has a known history for mistakes that there are", () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(Object.keys(SHOWN_BY).filter((name) => !names.includes(name))).toEqual([]);
  });

  it("refuses an edit whose text is gone from the sources", async () => {
    const edit = { file: "verifier.ts", before: "no such text", after: "" };
    await expect(loadMutated([edit])).rejects.toThrow("no such text");
  });
});

async function tryOut(
  edits: readonly Edit[],
  histories: number,
  { first, step } = { first: 1, step: 1 },
  knownSeed?: number,
): Promise<Exploration> {
  const domain: MutatedDomain = await loadMutated(edits);
  try {
    if (knownSeed !== undefined) {
      const known = await explore(domain.modules, knownSeed, 1);
      if (known.failure !== undefined) return known;
    }
    return await explore(domain.modules, first, histories, step);
  } finally {
    domain.remove();
  }
}
