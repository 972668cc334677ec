import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { ROOT } from "../../test/support/process-fixture.ts";
import { pinned } from "./cpu-pinning.ts";
import { type Usage, usageOf } from "./process-usage.ts";

const START_TIMEOUT_MS = 30_000;
const LOOK_MS = 2;
const KEPT_OUTPUT = 16_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) killGroup(child);
});

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly core: number | readonly number[] | undefined;
  /** Whether it serves by now. What it throws counts as no. */
  readonly isUp: () => boolean | Promise<boolean>;
}

/** A server in a process group of its own, which never outlives this process. */
export class Child {
  readonly pid: number;
  /** From its start until it served, in milliseconds. */
  upAfterMs = Number.NaN;
  readonly #child: ChildProcess;
  #output = "";

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
    running.add(child);
    child.once("exit", () => running.delete(child));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
      });
    }
  }

  /** @throws Error when it ends or does not serve in time */
  static async start({ command, args, env, core, isUp }: Launch): Promise<Child> {
    const { PATH = "", HOME = "" } = process.env;
    const startedAtMs = performance.now();
    const [file, fileArgs] = pinned(core, command, args);
    const spawned = spawn(file, fileArgs, {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH, HOME, NO_COLOR: "1", ...env },
    });
    await once(spawned, "spawn");
    const child = new Child(spawned, spawned.pid ?? 0);
    while (!(await asked(isUp))) {
      const timedOut = performance.now() > startedAtMs + START_TIMEOUT_MS;
      if (child.hasEnded || timedOut) {
        await child.stop();
        throw new Error(child.#output.trim() || `${command} ${timedOut ? "does not serve" : "ended at once"}`);
      }
      await pause(LOOK_MS);
    }
    child.upAfterMs = performance.now() - startedAtMs;
    return child;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The last that it has written. */
  get output(): string {
    return this.#output;
  }

  usage(): Usage {
    return usageOf(this.pid);
  }

  /** Ends it and what it started, at once. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const gone = once(this.#child, "exit");
    killGroup(this.#child);
    await gone;
  }
}

async function asked(isUp: Launch["isUp"]): Promise<boolean> {
  try {
    return await isUp();
  } catch {
    return false;
  }
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  process.kill(-pid, "SIGKILL");
}
