import type { CliIo, OutputStream } from "./io.ts";
import { type Paint, paintFor, wantsColor } from "./paint.ts";

/** Standard output was closed by its reader, as by `| head -1`. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** Writes to the two output streams. Results go to standard output, everything else to standard error. */
export class Printer {
  readonly paintOut: Paint;
  readonly paintErr: Paint;
  readonly colorOut: boolean;
  readonly #io: CliIo;

  constructor(io: CliIo, allowColor: boolean) {
    this.#io = io;
    this.colorOut = allowColor && wantsColor(io.env, io.isTty);
    this.paintOut = paintFor(this.colorOut);
    this.paintErr = paintFor(allowColor && wantsColor(io.env, io.stderr.isTTY === true));
  }

  /**
   * Resolves when the reader has taken the line, so that a slow one slows the command down instead of filling memory.
   * @throws OutputClosed
   */
  async line(text: string): Promise<void> {
    await written(this.#io.stdout, `${text}\n`);
  }

  /** For notes and errors. One that cannot be written is dropped: there is nowhere left to say so. */
  note(text: string): void {
    this.#io.stderr.write(`${text}\n`);
  }
}

function written(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error === null || error === undefined) {
        resolve();
      } else {
        reject(new OutputClosed("standard output was closed", { cause: error }));
      }
    });
  });
}
