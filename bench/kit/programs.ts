import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { ROOT } from "../../test/support/process-fixture.ts";

/** Where what the benchmark builds is kept. */
export const CACHE = join(ROOT, "node_modules/.cache/bench");

const SOURCES = join(import.meta.dirname, "../peers/programs");
const TARGET = join(CACHE, "programs");

/**
 * Turns the servers of peers into JavaScript, once for a run: a loader that does so in the server's own process would
 * count as its memory. Gives the path of each by name.
 */
export function compilePrograms(): (name: string) => string {
  mkdirSync(TARGET, { recursive: true });
  writeFileSync(join(TARGET, "package.json"), '{ "type": "module" }\n');
  for (const file of readdirSync(SOURCES).filter((name) => name.endsWith(".ts"))) {
    const { outputText } = ts.transpileModule(readFileSync(join(SOURCES, file), "utf8"), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
      },
    });
    writeFileSync(join(TARGET, file.replace(/\.ts$/, ".js")), outputText);
  }
  return (name) => join(TARGET, `${name}.js`);
}
