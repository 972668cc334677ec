import { isTokenId } from "./arguments.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Refuses a command line that holds a secret, wherever in it: other users of the machine can read it, and the shell
 * keeps it. A token id has the same prefix as a secret, but exactly 32 hexadecimal digits after it.
 * @throws UsageError, which does not repeat the secret
 */
export function refuseSecretArguments(argv: readonly string[], invocation: string): void {
  for (const argument of argv) {
    const kind = secretKind(argument);
    if (kind === "token") {
      throw new UsageError(
        "a token's secret must not be on the command line (a token id is mt_ and 32 hexadecimal digits)",
        `pass it on standard input, "${invocation} token verify < token.txt", or in the environment variable M2M_TOKEN; ` +
          "this one is in your shell's history now, so consider revoking it",
      );
    }
    if (kind === "caller_key") {
      throw new UsageError(
        "a caller's key must not be on the command line",
        "pass it in GATEWAY_CALLER_KEY, or its file with --caller-key-file; this one is in your shell's history now, so " +
          "make another",
      );
    }
    if (kind === "key") {
      throw new UsageError(
        "a secret key must not be on the command line",
        "the gateway reads its keys from CLERK_MACHINE_SECRET_KEY and CLERK_SECRET_KEY; this one is in your shell's " +
          "history now, so consider rotating it",
      );
    }
  }
}

function secretKind(argument: string): "token" | "key" | "caller_key" | undefined {
  const value = argument
    .trim()
    .replace(/^-{0,2}[\w-]+=/, "")
    .replace(/^["']?(bearer\s+)?/i, "")
    .replace(/\s.*$/s, "");
  if (value.startsWith("mt_") && !isTokenId(value)) {
    return "token";
  }
  // Every JWT begins so: it is how `{"` looks in base64url.
  if (/^eyJ[\w-]*\.[\w-]+\.[\w-]*/.test(value)) {
    return "token";
  }
  if (/^mgk_\w/.test(value)) return "caller_key";
  return /^(ak|sk)_\w/.test(value) ? "key" : undefined;
}
