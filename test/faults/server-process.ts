import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { NODE_OPTIONS } from "../support/node-options.ts";
import { ROOT } from "../support/process-fixture.ts";
import { TRANSPORT_ENV } from "../support/test-transport.ts";

const START_TIMEOUT_MS = 120_000;
const KEPT_OUTPUT = 8_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export interface ServerOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether it serves by now, given all that it has written to standard output. */
  readonly isUp: (stdout: string) => boolean | Promise<boolean>;
}

/** `node … dist/main.js …`, as the image starts it, as a process of its own, which never outlives this one. */
export class ServerProcess {
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #stdout = "";
  #stderr = "";

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** The last that it has written to standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when it serves. @throws Error when it ends or does not serve in time */
  async start(): Promise<void> {
    const { PATH = "", HOME = "" } = process.env;
    const child = spawn(process.execPath, [...NODE_OPTIONS, "dist/main.js", ...this.#options.args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH, HOME, NO_COLOR: "1", ...TRANSPORT_ENV, ...this.#options.env },
    });
    this.#child = child;
    this.#stdout = "";
    running.add(child);
    child.once("exit", () => running.delete(child));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-KEPT_OUTPUT);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_OUTPUT);
    });
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while (!(await this.#isUp())) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadlineMs) {
        throw new Error(`${this.#options.args.join(" ")} does not serve:\n${this.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Ends it at once, without a chance to say goodbye. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Memory that is resident, in bytes; Linux only, 0 elsewhere. */
  residentBytes(): number {
    if (process.platform !== "linux" || this.pid === undefined) return 0;
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1];
    return Number(kib ?? 0) * 1024;
  }

  async #isUp(): Promise<boolean> {
    try {
      return await this.#options.isUp(this.#stdout);
    } catch {
      return false;
    }
  }
}
