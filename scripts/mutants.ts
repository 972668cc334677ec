// Shows which mistakes in src/token the simulation catches, and how soon: a table for docs/consistency.md.
import { explore } from "../test/simulation/explore.ts";
import { BEYOND, MUTANTS } from "../test/simulation/mutants.ts";
import { loadMutated } from "../test/simulation/mutated-domain.ts";

const MOST_HISTORIES = Number(process.argv[2] ?? 3_000);

console.log("| mistake | histories until caught | what the checker saw |");
console.log("|---|---|---|");
let missed = 0;
for (const { name, edits, seeds } of [{ name: "(none)", edits: [], seeds: undefined }, ...MUTANTS]) {
  const domain = await loadMutated(edits);
  const { first, step } = seeds ?? { first: 1, step: 1 };
  try {
    const { histories, failure } = await explore(domain.modules, first, MOST_HISTORIES, step);
    const isRight = (failure === undefined) === (edits.length === 0);
    if (!isRight) missed += 1;
    console.log(`| ${name} | ${failure ? histories : `none in ${histories}`} | ${failure?.violation ?? ""} |`);
  } finally {
    domain.remove();
  }
}
for (const { name, why } of BEYOND) console.log(`| ${name} | not tried | ${why} |`);
process.exitCode = missed > 0 ? 1 : 0;
