import { ConnectError } from "@connectrpc/connect";
import { reportCallError } from "./call-error.ts";
import { EXIT } from "./exit-code.ts";
import { plainText } from "./plain-text.ts";
import { OutputClosed, type Printer } from "./printer.ts";
import { UsageError } from "./usage-error.ts";

/** What an error's lines mention besides the error itself. */
export interface ErrorContext {
  /** URL of the gateway that was called. */
  gateway(): string;
  readonly invocation: string;
}

/** Prints an error as one line, its details and a hint, and returns the exit code that goes with it. */
export function printError(error: unknown, printer: Printer, context: ErrorContext): number {
  const { paintErr } = printer;
  const label = paintErr("red", "error:");
  const hintLine = (hint: string | undefined) => (hint === undefined ? [] : [`${paintErr("cyan", "hint:")} ${hint}`]);
  if (error instanceof ConnectError) {
    const report = reportCallError(error, context.gateway(), context.invocation);
    const details = report.details.map((detail) => `  ${detail}`);
    printer.note([`${label} ${report.what} (${report.codes})`, ...details, ...hintLine(report.hint)].join("\n"));
    return report.exitCode;
  }
  if (error instanceof UsageError) {
    printer.note([`${label} ${plainText(error.message)}`, ...hintLine(error.hint)].join("\n"));
    return EXIT.usage;
  }
  if (error instanceof OutputClosed) {
    return EXIT.undecided;
  }
  // The text of an unforeseen error is not printed: it may repeat what was typed or received.
  const name = error instanceof Error ? error.name : typeof error;
  printer.note(`${label} a defect of this program (${plainText(name)})`);
  return EXIT.undecided;
}
