import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { getPriority, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import type { Order, Report, Told } from "./attacker.ts";
import type { Tally } from "./siege.ts";

/** The attackers' process, from here. */
export class AttackerProcess {
  readonly #child: ChildProcess;
  readonly #gone: Promise<never>;

  constructor() {
    this.#child = fork(fileURLToPath(new URL("attacker.ts", import.meta.url)), { execArgv: ["--import", "tsx"] });
    // It must not keep the innocent from its core, which in life would not run on the same machine.
    if (this.#child.pid !== undefined) setPriority(this.#child.pid, Math.min(19, getPriority() + 10));
    this.#gone = once(this.#child, "exit").then(() => {
      throw new Error("the attackers' process ended");
    });
    this.#gone.catch(() => undefined);
  }

  /** Resolves once all connections have been opened, or refused. */
  async begin(order: Order): Promise<void> {
    await this.#tell(order);
  }

  async end(): Promise<Tally> {
    const report = await this.#tell("stop");
    return report === "ready" ? this.end() : report;
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }

  async #tell(told: Told): Promise<Report> {
    const report = once(this.#child, "message");
    report.catch(() => undefined);
    this.#child.send(told);
    const [answer] = await Promise.race([report, this.#gone]);
    return answer as Report;
  }
}
