import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { findProgram } from "../../bench/kit/find-program.ts";
import { ROOT } from "../../test/support/process-fixture.ts";

/** A program that is published as a Go module. */
export interface GoTool {
  readonly name: string;
  /** Import path of its main package. */
  readonly package: string;
  readonly version: string;
  /** Build tags, with commas between them. */
  readonly tags?: string;
}

/** Below node_modules, so that a clean installation begins anew; Go's own caches outlive that. */
export const CACHE = join(ROOT, "node_modules/.cache/deploy");

/**
 * Builds a program, unless it was built before in this version. Returns its path. What is on the PATH is not taken: another
 * version may judge otherwise.
 *
 * @throws Error that says what to install when there is no Go, or why the program does not build
 */
export function goTool({ name, package: path, version, tags = "" }: GoTool): string {
  const folder = join(CACHE, `${name}-${version}`);
  const built = join(folder, name);
  if (existsSync(built)) return built;
  mkdirSync(folder, { recursive: true });
  process.stdout.write(`building ${name} ${version} …\n`);
  runGo(["install", "-tags", tags, `${path}@${version}`], `${name} ${version}`, folder);
  return built;
}

/** The folder of a module's files, fetched into Go's own cache when they are not there. */
export function goModule(path: string, version: string): string {
  const { Dir } = JSON.parse(runGo(["mod", "download", "-json", `${path}@${version}`], path)) as { Dir: string };
  return Dir;
}

function runGo(args: readonly string[], what: string, binFolder?: string): string {
  const go = findProgram("go");
  if (go === undefined) throw new Error(`${what} comes as a Go module, and Go is not installed: https://go.dev/dl`);
  mkdirSync(CACHE, { recursive: true });
  return execFileSync("nice", ["-n", "15", go, ...args], {
    // Away from any go.mod.
    cwd: CACHE,
    encoding: "utf8",
    env: {
      ...process.env,
      // Go runs programs of its own folder.
      PATH: [dirname(go), process.env.PATH ?? ""].join(delimiter),
      ...(binFolder === undefined ? {} : { GOBIN: binFolder }),
    },
    stdio: ["ignore", "pipe", binFolder === undefined ? "pipe" : "inherit"],
    maxBuffer: 64 * 1024 * 1024,
  });
}
