import { ConfigError } from "../config/problem.ts";
import type { Crash } from "./crash.ts";

/** What a command that runs something in this process is given. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
  /** Asks the process to end. */
  readonly quit: () => void;
  readonly crash: Pick<Crash, "drainThrough">;
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
  const line = listenFailure(error as SystemError);
  if (line === undefined) throw error;
  stderr.write(`error: ${line}\n`);
  return EXIT.failed;
}

interface SystemError {
  readonly code?: string;
  readonly address?: string;
  /** -1, or absent, for a Unix socket. */
  readonly port?: number;
}

const NOT_LISTENABLE: ReadonlySet<string> = new Set(["EACCES", "EADDRNOTAVAIL", "ENOTFOUND"]);

function listenFailure({ code = "", address = "that address", port = -1 }: SystemError): string | undefined {
  if (port < 0) return socketFailure(code, address);
  if (code === "EADDRINUSE") {
    return `${address}:${port} is in use: stop what listens there, or listen elsewhere (see --help)`;
  }
  return NOT_LISTENABLE.has(code) ? `cannot listen at ${address}:${port} (${code}): choose another address` : undefined;
}

function socketFailure(code: string, path: string): string | undefined {
  switch (code) {
    case "EADDRINUSE":
      return `another process listens at unix:${path}: stop it, or choose another path`;
    case "ENOTSOCK":
      return `${path} is there and is no socket: remove it yourself, or choose another path`;
    case "EACCES":
    case "ENOENT":
      return `cannot make the socket ${path} (${code}): its folder must exist, and this process may write to it`;
    case "EPERM":
      return `cannot give away the socket ${path}: GATEWAY_SOCKET_OWNER names whom this process may not give it to`;
    default:
      return NOT_LISTENABLE.has(code) ? `cannot listen at ${path} (${code}): choose another address` : undefined;
  }
}
