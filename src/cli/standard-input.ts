import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { CliIo } from "./io.ts";
import { UsageError } from "./usage-error.ts";

const MAX_BYTES = 1024 * 1024;

/**
 * All of standard input as text, at most 1 MiB.
 * @throws UsageError when it is longer or not UTF-8
 */
export async function readAll(io: CliIo, what: string): Promise<string> {
  if (io.stdin.isTTY === true) {
    io.stderr.write(`Type or paste ${what}, then Enter and Ctrl-D:\n`);
  }
  const stop = () => io.stdin.destroy(new UsageError("interrupted while reading standard input"));
  io.signal.addEventListener("abort", stop, { once: true });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of io.stdin) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      if (size > MAX_BYTES) {
        throw new UsageError(`${what} on standard input is longer than 1 MiB`);
      }
      chunks.push(bytes);
    }
  } finally {
    io.signal.removeEventListener("abort", stop);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new UsageError(`${what} on standard input is not UTF-8 text`);
  }
}

/** One line pasted at a terminal, which does not show it. */
export function readHiddenLine(io: CliIo, what: string): Promise<string> {
  io.stderr.write(`Paste ${what} and press Enter (it is not shown): `);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: io.stdin, output: silent, terminal: true, historySize: 0 });
  return new Promise<string>((resolve, reject) => {
    const interrupted = () => reject(new UsageError("interrupted before a token was given"));
    reader.once("line", resolve);
    reader.once("SIGINT", interrupted);
    // Also reached after a line, when the promise is settled already.
    reader.once("close", () => reject(new UsageError("no token was given")));
    io.signal.addEventListener("abort", interrupted, { once: true });
  }).finally(() => {
    reader.close();
    io.stderr.write("\n");
  });
}
