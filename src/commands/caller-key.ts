import { createCallerKey, fingerprintOf } from "../callers/caller-key.ts";
import type { CallerKeyOptions } from "../cli/io.ts";
import { type CommandContext, EXIT } from "./command-context.ts";

/** Makes a key for a caller. It is shown this once; the callers' file holds its hash. */
export function callerKey(options: CallerKeyOptions, context: CommandContext): Promise<number> {
  const key = createCallerKey();
  const fingerprint = fingerprintOf(key);
  if (options.output === "json") {
    context.stdout.write(`${JSON.stringify({ key, fingerprint })}\n`);
  } else {
    // What can be put into a file by itself goes to standard output, and what is for people beside it.
    context.stdout.write(`${key}\n`);
    context.stderr.write(`for the callers' file:\n    keys: ["${fingerprint}"]\n`);
  }
  return Promise.resolve(EXIT.ok);
}
