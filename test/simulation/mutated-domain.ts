import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import type { DomainModules } from "./domain-modules.ts";
import type { Edit } from "./mutants.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SOURCE = join(ROOT, "src/token");

export interface MutatedDomain {
  readonly modules: DomainModules;
  remove(): void;
}

/**
 * Loads a copy of src/token with the edits applied. The copy is JavaScript, inside node_modules, so that Node loads it as
 * it is and it finds its packages.
 * @throws Error when the text that an edit replaces does not occur exactly once
 */
export async function loadMutated(edits: readonly Edit[]): Promise<MutatedDomain> {
  const parent = join(ROOT, "node_modules/.cache/mutants");
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, "token-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    for (const [file, text] of mutate(edits)) writeFileSync(join(directory, toJsName(file)), transpile(text));
    return { modules: await load(directory), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function mutate(edits: readonly Edit[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const file of readdirSync(SOURCE)) {
    if (file.endsWith(".ts") && !file.endsWith(".test.ts")) texts.set(file, readFileSync(join(SOURCE, file), "utf8"));
  }
  for (const { file, before, after } of edits) {
    const parts = texts.get(file)?.split(before) ?? [];
    if (parts.length !== 2) {
      throw new Error(`src/token/${file} has ${Math.max(0, parts.length - 1)} times, not once: ${before}`);
    }
    texts.set(file, parts.join(after));
  }
  return texts;
}

/** What was transpiled before, by its text: most files of most copies are unchanged. */
const transpiled = new Map<string, string>();

function transpile(text: string): string {
  const before = transpiled.get(text);
  if (before !== undefined) return before;
  const compilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  };
  const { outputText } = ts.transpileModule(text, { compilerOptions });
  transpiled.set(text, outputText);
  return outputText;
}

async function load(directory: string): Promise<DomainModules> {
  const file = (name: string) => pathToFileURL(join(directory, `${name}.js`)).href;
  const budget: typeof import("../../src/token/budget.ts") = await import(/* @vite-ignore */ file("budget"));
  const cache: typeof import("../../src/token/verdict-cache.ts") = await import(
    /* @vite-ignore */ file("verdict-cache")
  );
  const errors: typeof import("../../src/token/errors.ts") = await import(/* @vite-ignore */ file("errors"));
  const feed: typeof import("../../src/token/revocation-feed.ts") = await import(
    /* @vite-ignore */ file("revocation-feed")
  );
  const jwts: typeof import("../../src/token/jwt-verifier.ts") = await import(/* @vite-ignore */ file("jwt-verifier"));
  const subjects: typeof import("../../src/token/subject-revoker.ts") = await import(
    /* @vite-ignore */ file("subject-revoker")
  );
  const publisher: typeof import("../../src/token/publisher.ts") = await import(/* @vite-ignore */ file("publisher"));
  const recorder: typeof import("../../src/token/recorder.ts") = await import(/* @vite-ignore */ file("recorder"));
  const revalidator: typeof import("../../src/token/revalidator.ts") = await import(
    /* @vite-ignore */ file("revalidator")
  );
  const revocations: typeof import("../../src/token/revocations.ts") = await import(
    /* @vite-ignore */ file("revocations")
  );
  const revoker: typeof import("../../src/token/revoker.ts") = await import(/* @vite-ignore */ file("revoker"));
  const verifier: typeof import("../../src/token/verifier.ts") = await import(/* @vite-ignore */ file("verifier"));
  const watch: typeof import("../../src/token/watch.ts") = await import(/* @vite-ignore */ file("watch"));
  return {
    ...budget,
    ...cache,
    ...errors,
    ...feed,
    ...jwts,
    ...subjects,
    ...publisher,
    ...recorder,
    ...revalidator,
    ...revocations,
    ...revoker,
    ...verifier,
    ...watch,
  };
}

function toJsName(file: string): string {
  return file.replace(/\.ts$/, ".js");
}
