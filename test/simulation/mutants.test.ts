import { describe, expect, it } from "vitest";
import { explore } from "./explore.ts";
import { type Edit, MUTANTS } from "./mutants.ts";
import { loadMutated, type MutatedDomain } from "./mutated-domain.ts";

/** A mutant that survives so many histories would survive in practice. */
const MOST_HISTORIES = 3_000;
const BASELINE_HISTORIES = 200;

describe("the simulation", () => {
  it("finds nothing wrong with an unchanged copy of the domain", { timeout: 120_000 }, async () => {
    const { failure } = await tryOut([], BASELINE_HISTORIES);
    expect(failure).toBeUndefined();
  });

  it.each(MUTANTS)("notices when $name", { timeout: 120_000 }, async ({ edits, seeds }) => {
    const { failure } = await tryOut(edits, MOST_HISTORIES, seeds);
    expect(failure).toBeDefined();
  });

  it("refuses an edit whose text is gone from the sources", async () => {
    const edit = { file: "verifier.ts", before: "no such text", after: "" };
    await expect(loadMutated([edit])).rejects.toThrow("no such text");
  });
});

async function tryOut(edits: readonly Edit[], histories: number, { first, step } = { first: 1, step: 1 }) {
  const domain: MutatedDomain = await loadMutated(edits);
  try {
    return await explore(domain.modules, first, histories, step);
  } finally {
    domain.remove();
  }
}
