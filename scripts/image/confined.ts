import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ImageConfig } from "./dockerfile.ts";

/** A network of nothing but its own loopback. */
export interface Network extends Disposable {
  readonly path: string;
}

/** A process that runs as an engine would run it: process 1, the image's user, a root that cannot be written. */
export interface Container extends Disposable {
  /** As the machine numbers it. */
  readonly pid: number;
  /** Runs a program in it, as an engine's `exec`. */
  exec(argv: readonly string[], input?: string): { readonly code: number | null; readonly output: string };
  /** Its exit code after the signal that engines stop it with; `null` when a signal ended it. */
  stop(): Promise<number | null>;
  output(): string;
}

const START_TIMEOUT_MS = 10_000;

/** Puts what a distroless image holds beside the program: node where it has it, the libraries it needs, empty folders. */
export function addRuntime(root: string): void {
  for (const folder of ["proc", "dev", "tmp", "run/secrets", "etc"]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, "dev/null"), "");
  mkdirSync(join(root, "nodejs/bin"), { recursive: true });
  copyFileSync(process.execPath, join(root, "nodejs/bin/node"));
  const libraries = execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/(\/\S+) \(/g);
  for (const [, library = ""] of libraries) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
}

export async function createNetwork(): Promise<Network> {
  const holder = spawn("unshare", ["--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [first] = await Promise.race([once(holder.stdout, "data"), once(holder, "exit")]);
  if (!String(first).startsWith("up")) throw new Error("no network namespace could be made");
  return { path: `/proc/${holder.pid}/ns/net`, [Symbol.dispose]: () => void holder.kill("SIGKILL") };
}

/** In namespaces of its own; `exec` all the way, so that the program is process 1. */
const CONFINE = `
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --bind /dev/null "$ROOT/dev/null"
mount --bind "$SECRETS" "$ROOT/run/secrets"
mount -o remount,bind,ro "$ROOT/run/secrets"
mount -o remount,bind,ro "$ROOT"
exec "$@"
`;

export interface ContainerOptions {
  readonly root: string;
  readonly image: ImageConfig;
  /** In place of the image's command. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A folder that is mounted at /run/secrets. */
  readonly secrets: string;
  readonly network: Network;
}

export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { root, image, secrets, network, command = image.command } = options;
  const [uid = "", gid = ""] = image.user.split(":");
  const env = Object.entries({ ...image.env, ...options.env }).map(([name, value]) => `${name}=${value}`);
  const become = ["--setuid", uid, "--setgid", gid];
  // Each of these becomes the next. Absolute paths: the image's PATH is for what runs inside.
  const inside = ["/usr/bin/env", "-i", ...env, "/usr/bin/setpriv", "--no-new-privs", "/usr/bin/unshare"];
  const place = ["--root", root, "--wd", image.workdir, ...become];
  const argv = [...inside, ...place, ...image.entrypoint, ...command];
  const namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
  const child = spawn("nsenter", [`--net=${network.path}`, ...namespaces, "sh", "-ec", CONFINE, "sh", ...argv], {
    env: { PATH: process.env.PATH, ROOT: root, SECRETS: secrets },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const pid = await firstProcess(child, () => output);
  return {
    pid,
    output: () => output,
    exec(argv, input = "") {
      const enter = [`--target=${pid}`, "--mount", "--pid", "--net", "--root", "--wd", ...become];
      const result = spawnSync("/usr/bin/env", ["-i", ...env, "/usr/bin/nsenter", ...enter, ...argv], {
        encoding: "utf8",
        input,
      });
      return { code: result.status, output: result.stdout + result.stderr };
    },
    stop() {
      process.kill(pid, image.stopSignal as NodeJS.Signals);
      return exited;
    },
    // The signal that unshare arranges for its child is forgotten when the child changes its user.
    [Symbol.dispose]() {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, "SIGKILL");
    },
  };
}

/** Process 1 of the container, once the program is what runs there. */
async function firstProcess(child: ChildProcess, output: () => string): Promise<number> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const [pid = ""] = read(`/proc/${child.pid}/task/${child.pid}/children`).trim().split(" ");
    if (pid !== "" && read(`/proc/${pid}/comm`).startsWith("node")) return Number(pid);
    await sleep(20);
  }
  throw new Error(`the program did not start:\n${output()}`);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
