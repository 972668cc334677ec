import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { findProgram } from "../../bench/kit/find-program.ts";
import { ROOT } from "./process-fixture.ts";

export interface GoProgram {
  readonly name: string;
  /** Import path of its main package. */
  readonly package: string;
  /** The folder of the go.mod that says in which version, and with which versions of what it needs. */
  readonly moduleFolder: string;
}

const BUILD_TIMEOUT_MS = 300_000;

/**
 * Builds a program into a cache folder below node_modules; what has not changed since the last time is found in Go's own
 * caches. Returns its path.
 *
 * @throws Error that says what to install when there is no Go, or why the program does not build
 */
export async function buildGo(program: GoProgram): Promise<string> {
  const go = findProgram("go");
  if (go === undefined) throw new Error(`${program.name} takes Go to build, which is not installed: https://go.dev/dl`);
  const folder = join(ROOT, "node_modules/.cache/go");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, program.name);
  await promisify(execFile)(go, ["build", "-o", path, program.package], {
    cwd: program.moduleFolder,
    // Other than the program itself, Go runs programs of its own folder.
    env: { ...process.env, PATH: [dirname(go), process.env.PATH ?? ""].join(delimiter) },
    timeout: BUILD_TIMEOUT_MS,
  });
  return path;
}
