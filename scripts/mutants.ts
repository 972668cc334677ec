// Shows which mistakes in src/token the simulation catches, and how soon: a table for docs/consistency.md.
import { explore } from "../test/simulation/explore.ts";
import { BEYOND, MUTANTS } from "../test/simulation/mutants.ts";
import { loadMutated } from "../test/simulation/mutated-domain.ts";

const MOST_HISTORIES = Number(process.argv[2] ?? 3_000);

console.log("| mistake | histories until caught | what the checker saw |");
console.log("|---|---|---|");
let missed = 0;
for (const { name, edits } of [{ name: "(none)", edits: [] }, ...MUTANTS]) {
  const domain = await loadMutated(edits);
  try {
    const { histories, failure } = await explore(domain.modules, 1, MOST_HISTORIES);
    const isRight = (failure === undefined) === (edits.length === 0);
    if (!isRight) missed += 1;
    console.log(`| ${name} | ${failure ? histories : `none in ${histories}`} | ${failure?.violation ?? ""} |`);
  } finally {
    domain.remove();
  }
}
for (const { name, why } of BEYOND) console.log(`| ${name} | not tried | ${why} |`);
process.exitCode = missed > 0 ? 1 : 0;
