import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

const MODULE = "connectrpc.com/conformance";
const VERSION = "v1.0.7";
const ROOT = resolve(import.meta.dirname, "../..");
const CACHE = join(ROOT, "node_modules/.cache/conformance", VERSION);

export interface Suite {
  /** The suite's runner. */
  readonly command: string;
  /** A file with the descriptors of its protos, as a google.protobuf.FileDescriptorSet. */
  readonly descriptors: string;
}

/**
 * Finds the suite, or makes what is not there: the runner is taken from the PATH if it is of the right version, and else
 * built once; the descriptors are built once, from the protos in the same Go module.
 *
 * @throws Error when something has to be made and cannot be, Go not being installed among the reasons
 */
export function prepareSuite(): Suite {
  mkdirSync(CACHE, { recursive: true });
  return { command: findRunner() ?? buildRunner(), descriptors: buildDescriptors() };
}

function findRunner(): string | undefined {
  return ["connectconformance", join(CACHE, "connectconformance")].find((command) => {
    const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    return status === 0 && stdout.trim().endsWith(` ${VERSION}`);
  });
}

function buildRunner(): string {
  process.stderr.write(`building ${MODULE} ${VERSION}\n`);
  go(["install", `${MODULE}/cmd/connectconformance@${VERSION}`], { GOBIN: CACHE });
  return join(CACHE, "connectconformance");
}

function buildDescriptors(): string {
  const descriptors = join(CACHE, "descriptors.binpb");
  if (existsSync(descriptors)) return descriptors;
  const { Dir: folder } = JSON.parse(go(["mod", "download", "-json", `${MODULE}@${VERSION}`])) as { Dir: string };
  run(join(ROOT, "node_modules/.bin/buf"), ["build", join(folder, "proto"), "-o", descriptors]);
  return descriptors;
}

function go(args: readonly string[], env: Record<string, string> = {}): string {
  return run("go", args, env);
}

function run(command: string, args: readonly string[], env: Record<string, string> = {}): string {
  const { error, status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  if (error !== undefined && "code" in error && error.code === "ENOENT") {
    throw new Error(
      `The conformance suite is a Go program, and ${command} is not on the PATH. Install Go (https://go.dev/dl), which fetches and builds ${MODULE} ${VERSION}.`,
    );
  }
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${stderr}`);
  return stdout;
}
