import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { TRANSPORT_ENV } from "./test-transport.ts";

/** Where printed commands are meant to be pasted. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What standard input holds; empty when not given. */
  readonly stdin?: string;
}

export interface Exit {
  /** `null` when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child in a process group of its own. Disposing of it kills the group if it still runs, and waits for its end. */
export interface RunningProcess extends AsyncDisposable {
  /** Of the child itself, which leads its group; 0 when it could not be started. */
  readonly pid: number;
  /** Its exit, once its output has been read to the end. */
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
  /** The first match in what it has written or will write. Rejects when the process ends without one. */
  waitFor(pattern: RegExp, stream?: "stdout" | "stderr"): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
}

/** Runs the built program, `node dist/main.js`, from the root of the repository. */
export function runMain(args: readonly string[], options: ProcessOptions = {}): RunningProcess {
  return run(process.execPath, ["dist/main.js", ...args], options);
}

/** Runs a command line as one would by pasting it. */
export function runShell(command: string, options: ProcessOptions = {}): RunningProcess {
  return run("bash", ["-c", command], options);
}

/** Whether there is such a program. */
export async function hasProgram(name: string): Promise<boolean> {
  await using probe = runShell(`command -v ${name}`);
  return (await probe.exited).code === 0;
}

function run(file: string, args: readonly string[], { env = {}, stdin = "" }: ProcessOptions): RunningProcess {
  const { PATH = "", HOME = "" } = process.env;
  // A group of its own, so that what a shell started ends with it. Nothing of the developer's environment but the paths:
  // their keys and settings must not change what is tested.
  const child = spawn(file, [...args], {
    cwd: ROOT,
    detached: true,
    env: { PATH, HOME, NO_COLOR: "1", ...TRANSPORT_ENV, ...env },
  });
  const output = { stdout: "", stderr: "" };
  const listeners = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      output[name] += chunk;
      for (const listener of listeners) listener();
    });
  }
  // The child may end without reading what it is given.
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  const exited = once(child, "close").then(([code]): Exit => ({ code: code as number | null, ...output }));
  return {
    pid: child.pid ?? 0,
    exited,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    waitFor: (pattern, stream = "stdout") => waitForMatch(pattern, () => output[stream], output, listeners, exited),
    signal: (name) => signalGroup(child, name),
    async [Symbol.asyncDispose]() {
      signalGroup(child, "SIGKILL");
      await exited;
    },
  };
}

function waitForMatch(
  pattern: RegExp,
  text: () => string,
  output: { readonly stderr: string },
  listeners: Set<() => void>,
  exited: Promise<Exit>,
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const match = pattern.exec(text());
      if (match === null) return false;
      listeners.delete(look);
      resolve(match);
      return true;
    };
    if (look()) return;
    listeners.add(look);
    exited.then(({ code }) => {
      if (!look()) reject(new Error(`ended with ${code} before ${pattern} was written: ${output.stderr}`));
    }, reject);
  });
}

/** The group's id is the child's. It is asked only while the child runs: later the id may be somebody else's. */
function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, name);
}
