import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import type { Stage } from "./dockerfile.ts";

/** The root of each stage's files, by its name. */
export type Roots = ReadonlyMap<string, string>;

/**
 * Does what the stages say in folders of their own: COPY from the checkout as .dockerignore lets through or from another
 * stage, RUN with the Node.js that runs this. What base images hold is not there.
 *
 * @throws Error when a step fails, or copies what is not there
 */
export function buildStages(stages: readonly Stage[], context: string, work: string): Roots {
  const roots = new Map<string, string>();
  const isIgnored = readDockerignore(join(context, ".dockerignore"));
  for (const { name, instructions } of stages) {
    const root = join(work, name);
    roots.set(name, root);
    let workdir = "/";
    for (const instruction of instructions) {
      if (instruction.name === "WORKDIR") {
        workdir = instruction.text;
        mkdirSync(join(root, workdir), { recursive: true });
      } else if (instruction.name === "COPY") copy(instruction.text, join(root, workdir), context, roots, isIgnored);
      else if (instruction.name === "RUN") run(instruction.text, join(root, workdir), work);
    }
  }
  return roots;
}

function copy(
  text: string,
  workdir: string,
  context: string,
  roots: Roots,
  isIgnored: (path: string) => boolean,
): void {
  const [, stage, paths = ""] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? [];
  const sources = paths.split(" ");
  const target = sources.pop() ?? "";
  const from = stage === undefined ? context : roots.get(stage);
  if (from === undefined) throw new Error(`COPY ${text}: there is no such stage before`);
  for (const source of sources) {
    const path = join(from, source);
    const ignored = (file: string) => stage === undefined && isIgnored(relative(context, file));
    if (!existsSync(path) || ignored(path))
      throw new Error(`COPY ${text}: ${source} is not there, or .dockerignore hides it`);
    const to = target.endsWith("/") ? join(workdir, target, basename(source)) : join(workdir, target);
    cpSync(path, to, { recursive: true, verbatimSymlinks: true, filter: (file) => !ignored(file) });
  }
}

function run(command: string, cwd: string, work: string): void {
  process.stdout.write(`RUN ${command}\n`);
  const PATH = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;
  // A fresh home, so that nothing of the developer's settings counts; npm's registry and cache may be set by the environment.
  const npm = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_(registry|cache|cafile)|NODE_EXTRA_CA_CERTS|https?_proxy|no_proxy)$/i.test(name),
  );
  execFileSync("sh", ["-c", command], {
    cwd,
    env: { PATH, HOME: join(work, "home"), ...Object.fromEntries(npm) },
    stdio: ["ignore", "inherit", "inherit"],
  });
}

/** Whether a path of the context is left out: the last pattern that matches it, or a folder it is in, decides. */
function readDockerignore(file: string): (path: string) => boolean {
  const patterns = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ keeps: line.startsWith("!"), pattern: patternOf(line.replace(/^!/, "")) }));
  return (path) => patterns.findLast(({ pattern }) => pattern.test(path))?.keeps === false;
}

function patternOf(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/|\*/g, (star) => (star === "*" ? "[^/]*" : "(?:.*/)?"));
  return new RegExp(`^${source}(?:/.*)?$`);
}
