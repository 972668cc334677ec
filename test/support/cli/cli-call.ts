import { PassThrough, Readable, Writable } from "node:stream";
import type { CliIo, LocalCommands } from "../../../src/cli/io.ts";
import { runCli } from "../../../src/cli/run-cli.ts";

export interface CallOptions {
  readonly env?: Record<string, string>;
  /** What is piped in; nothing by default. */
  readonly stdin?: string | Buffer;
  /** Whether all three streams are terminals. */
  readonly tty?: boolean;
  readonly run?: Partial<LocalCommands>;
  readonly invocation?: string;
}

/** A command line that is running, with what it has printed so far. */
export interface CliCall {
  readonly exit: Promise<number>;
  readonly out: () => string;
  readonly err: () => string;
  readonly interrupt: () => void;
  /** Types at the terminal. */
  readonly type: (text: string) => void;
  /** Makes the reader of standard output go away. */
  readonly closeOutput: () => void;
}

export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line to its end. */
export async function cli(args: readonly string[], options: CallOptions = {}): Promise<CliResult> {
  const call = startCli(args, options);
  const code = await call.exit;
  return { code, out: call.out(), err: call.err() };
}

export function startCli(args: readonly string[], options: CallOptions = {}): CliCall {
  const abort = new AbortController();
  const stdout = new Capture(options.tty === true);
  const stderr = new Capture(options.tty === true);
  const typed = Object.assign(new PassThrough(), { isTTY: true });
  const piped = Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]);
  const stdin = options.tty === true ? typed : piped;
  return {
    exit: runCli(args, { ...testIo(options), stdin, stdout, stderr, signal: abort.signal }),
    out: () => stdout.text,
    err: () => stderr.text,
    interrupt: () => abort.abort(),
    type: (text) => typed.write(text),
    closeOutput: () => stdout.destroy(),
  };
}

/** All that a command line needs, with streams that nobody looks at. */
export function testIo(options: CallOptions = {}): CliIo {
  return {
    stdin: Readable.from([]),
    stdout: new Capture(false),
    stderr: new Capture(false),
    env: options.env ?? {},
    isTty: options.tty === true,
    signal: new AbortController().signal,
    invocation: options.invocation ?? "m2m-gateway",
    version: "1.2.3",
    run: {
      serve: unexpected,
      dev: unexpected,
      emulator: unexpected,
      configCheck: unexpected,
      callerKey: unexpected,
      ...options.run,
    },
  };
}

function unexpected(): Promise<number> {
  return Promise.reject(new Error("this command was not expected to run"));
}

class Capture extends Writable {
  readonly isTTY: boolean;
  text = "";

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString("utf8");
    done();
  }
}
