import type { Readable, Writable } from "node:stream";

/** What the command line is given from outside: streams, environment, cancellation, and the parts it does not implement. */
export interface CliIo {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether standard output is a terminal. Standard input and error say so themselves. */
  readonly isTty: boolean;
  /** Aborted when the process is asked to end. Watches end cleanly then; other calls are given up. */
  readonly signal: AbortSignal;
  /** How the user calls this program, for example `m2m-gateway` or `node dist/main.js`: help and hints repeat it. */
  readonly invocation: string;
  /** What `--version` prints; without it there is no such option. */
  readonly version?: string | undefined;
  readonly run: LocalCommands;
}

type InputStream = Readable & { readonly isTTY?: boolean | undefined };
export type OutputStream = Writable & {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
};

export type OutputFormat = "text" | "json";

/** The commands that are not clients of a running gateway. Each resolves with the exit code. */
export interface LocalCommands {
  serve(options: ServeOptions): Promise<number>;
  dev(options: DevOptions): Promise<number>;
  emulator(options: EmulatorOptions): Promise<number>;
  configCheck(options: ConfigCheckOptions): Promise<number>;
  callerKey(options: CallerKeyOptions): Promise<number>;
}

/** Options are as typed by the user, unchecked; `undefined` where none was given. */
export interface ServeOptions {
  readonly config: string | undefined;
  readonly listen: string | undefined;
  readonly adminListen: string | undefined;
  readonly transport: string | undefined;
  readonly workers: string | undefined;
  readonly insecure: boolean;
  readonly logLevel: string | undefined;
}

export interface DevOptions {
  readonly config: string | undefined;
  readonly listen: string | undefined;
  readonly adminListen: string | undefined;
  readonly emulatorListen: string | undefined;
  readonly transport: string | undefined;
  readonly seed: string | undefined;
  readonly output: OutputFormat;
  /** Whether text on standard output may be coloured. */
  readonly color: boolean;
}

export interface EmulatorOptions {
  readonly listen: string | undefined;
  readonly seed: string | undefined;
  readonly output: OutputFormat;
  readonly color: boolean;
}

export interface CallerKeyOptions {
  readonly output: OutputFormat;
}

export interface ConfigCheckOptions {
  readonly config: string | undefined;
  readonly output: OutputFormat;
  readonly color: boolean;
}
