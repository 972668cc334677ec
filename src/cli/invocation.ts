import { Command } from "commander";
import { printError } from "./error-report.ts";
import { EXIT } from "./exit-code.ts";
import { type GatewayTarget, type GlobalOptions, gatewayTarget } from "./global-options.ts";
import type { CliIo } from "./io.ts";
import { Printer } from "./printer.ts";

/** One run of one command: its options, its arguments, and where its output goes. */
export class Invocation<Options extends object> {
  readonly io: CliIo;
  readonly options: Options & GlobalOptions;
  readonly args: readonly string[];
  readonly printer: Printer;

  constructor(io: CliIo, command: Command) {
    this.io = io;
    this.options = command.optsWithGlobals<Options & GlobalOptions>();
    this.args = command.args;
    this.printer = new Printer(io, this.options.color);
  }

  get json(): boolean {
    return this.options.output === "json";
  }

  /** @throws UsageError */
  get target(): GatewayTarget {
    return gatewayTarget(this.io, this.options);
  }

  /** Prints any error and returns its exit code. */
  printError(error: unknown): number {
    return printError(error, this.printer, { gateway: () => this.target.url, invocation: this.io.invocation });
  }
}

/** Runs commands and keeps the exit code of the last one. */
export class Runner {
  readonly io: CliIo;
  exitCode: number = EXIT.ok;

  constructor(io: CliIo) {
    this.io = io;
  }

  /** A commander action. Every error ends here: printed, and turned into an exit code. */
  action<Options extends object>(
    handler: (run: Invocation<Options>) => Promise<number>,
  ): (...given: unknown[]) => Promise<void> {
    return async (...given) => {
      const command = given.at(-1);
      if (!(command instanceof Command)) {
        throw new TypeError("commander passes the command last");
      }
      const run = new Invocation<Options>(this.io, command);
      try {
        this.exitCode = await handler(run);
      } catch (error) {
        this.exitCode = run.printError(error);
      }
    };
  }
}
