import { CommanderError } from "commander";
import { printError } from "./error-report.ts";
import { EXIT } from "./exit-code.ts";
import { Runner } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { Printer } from "./printer.ts";
import { createProgram } from "./program.ts";
import { refuseSecretArguments } from "./secret-argument.ts";

/**
 * Runs one command line and resolves with the exit code (see EXIT); never rejects and never ends the process. `argv` is
 * what follows the program's name.
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  // A write that fails is reported to its caller. Without a listener it would also end the process, even after this
  // function is done, so the listeners stay.
  const ignore = () => undefined;
  io.stdout.on("error", ignore);
  io.stderr.on("error", ignore);
  try {
    refuseSecretArguments(argv, io.invocation);
    const runner = new Runner(io);
    await createProgram(io, runner).parseAsync([...argv], { from: "user" });
    return runner.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are asked for with code 0; all else that commander ends with is a wrong command line.
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    const printer = new Printer(io, !argv.includes("--no-color"));
    return printError(error, printer, { gateway: () => "unknown", invocation: io.invocation });
  }
}
