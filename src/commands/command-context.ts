import { ConfigError } from "../config/problem.ts";

/** What a command that runs something in this process is given. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
  /** How the user calls this program. */
  readonly invocation: string;
  readonly version: string;
  /** Whether standard error is a terminal that shows colours. */
  readonly colorErr: boolean;
}

/** As in every other command: 0 done, 2 the command line or the configuration is wrong, 3 it could not run. */
export const EXIT = { ok: 0, usage: 2, failed: 3 } as const;

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Says why a command could not start, and what to do. Rethrows what it does not know. */
export function explainStart(error: unknown, { stderr }: CommandContext): number {
  if (error instanceof ConfigError) {
    stderr.write(`error: ${error.message}\n`);
    return EXIT.usage;
  }
  const { code, address, port } = error as { code?: string; address?: string; port?: number };
  if (code === "EADDRINUSE") {
    stderr.write(`error: ${address}:${port} is in use: stop what listens there, or listen elsewhere (see --help)\n`);
    return EXIT.failed;
  }
  if (code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    stderr.write(
      `error: cannot listen at ${address ?? "that address"}:${port ?? ""} (${code}): choose another address\n`,
    );
    return EXIT.failed;
  }
  throw error;
}
