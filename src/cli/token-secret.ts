import type { CliIo } from "./io.ts";
import { readAll, readHiddenLine } from "./standard-input.ts";
import { UsageError } from "./usage-error.ts";

/** The one positional argument of the commands that take a secret. */
export const SECRET_ARGUMENT = ["[-]", "read the token from standard input even where M2M_TOKEN is set"] as const;

/**
 * The token's secret: from M2M_TOKEN, else from standard input. `-` asks for standard input whatever is in the
 * environment. Surrounding white space and a leading "Bearer" are removed. `note` is told which of the two was taken
 * where that could surprise.
 * @throws UsageError
 */
export async function readTokenSecret(
  io: CliIo,
  positional: string | undefined,
  note: (text: string) => void,
): Promise<string> {
  if (positional !== undefined && positional !== "-") {
    throw new UsageError(
      "unexpected argument: a token is never given on the command line",
      "pass it on standard input or in the environment variable M2M_TOKEN",
    );
  }
  const secret = withoutScheme(await readRaw(io, positional === "-", note));
  if (secret === "") {
    throw new UsageError("no token was given", "pass it on standard input or in the environment variable M2M_TOKEN");
  }
  if (/\s/.test(secret)) {
    throw new UsageError("more than one token, or something else, was given", "give exactly one token");
  }
  return secret;
}

async function readRaw(io: CliIo, fromInput: boolean, note: (text: string) => void): Promise<string> {
  const fromEnv = io.env.M2M_TOKEN;
  if (fromEnv !== undefined && fromEnv !== "" && !fromInput) {
    // Whether something was piped in cannot be known without waiting for it, perhaps for ever.
    if (io.stdin.isTTY !== true) {
      note("using the token in M2M_TOKEN; add - to use standard input instead");
    }
    return fromEnv;
  }
  return io.stdin.isTTY === true ? readHiddenLine(io, "the token") : readAll(io, "the token");
}

function withoutScheme(text: string): string {
  return text.trim().replace(/^bearer\s+/i, "");
}
