import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Clock } from "../token/ports.ts";

/** The texts of a group of files, by path. */
export type FileTexts = ReadonlyMap<string, string>;

/** Why a file could not be read: the system's code, or what it is instead of a file fit to be read. */
export interface UnreadableFile {
  readonly path: string;
  readonly code: string;
}

export interface FileWatchOptions {
  readonly paths: readonly string[];
  /** From the end of one look to the next, in milliseconds. */
  readonly intervalMs: number;
  readonly clock: Clock;
  /** What the files say, together: at the first look, and when it has changed. Must not throw. */
  readonly onChange: (texts: FileTexts) => void;
  /** One of them cannot be read. Called once for each such state. Must not throw. */
  readonly onUnreadable: (file: UnreadableFile) => void;
}

type Look = FileTexts | UnreadableFile;

/** Far more than any chain of certificates. */
const MAX_BYTES = 1024 * 1024;
/** Files that differ each time that they are read are being written: the next look is soon enough. */
const MAX_READS = 3;

/**
 * Looks into a group of files again and again. The contents are compared, not events or times awaited: a mount of
 * Kubernetes swaps a link above the files, network file systems tell of nothing, and contents are what counts.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  #seen = "";
  #cancel = () => {};
  #closed = false;
  #looking: Promise<void> | undefined;

  constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  /** Looks now, or joins the look that is under way. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(this.#options.intervalMs, () => {
      void this.look().finally(() => this.#schedule());
    });
  }

  async #look(): Promise<void> {
    const { paths, onChange, onUnreadable } = this.#options;
    let look = await readAll(paths);
    if (stateOf(look) === this.#seen) return;
    // Part of them may have been replaced between two reads: a state counts when it was read twice in a row.
    for (let reads = 1; ; reads += 1) {
      const again = await readAll(paths);
      if (stateOf(again) === stateOf(look)) break;
      if (reads === MAX_READS) return;
      look = again;
    }
    if (this.#closed || stateOf(look) === this.#seen) return;
    this.#seen = stateOf(look);
    if (isUnreadable(look)) onUnreadable(look);
    else onChange(look);
  }
}

async function readAll(paths: readonly string[]): Promise<Look> {
  const texts = new Map<string, string>();
  for (const path of paths) {
    try {
      texts.set(path, await readText(path));
    } catch (error) {
      return { path, code: codeOf(error) };
    }
  }
  return texts;
}

/** @throws Error with a code */
async function readText(path: string): Promise<string> {
  // A pipe must not make it wait for who writes into it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await file.stat();
    if (!status.isFile()) throw fault("NOT_A_FILE");
    if (status.size > MAX_BYTES) throw fault("TOO_LARGE");
    const bytes = Buffer.alloc(status.size + 1);
    for (let length = 0; length < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      if (bytesRead === 0) return bytes.toString("utf8", 0, length);
      length += bytesRead;
    }
    throw fault("CHANGING");
  } finally {
    await file.close();
  }
}

function fault(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "UNKNOWN";
}

function isUnreadable(look: Look): look is UnreadableFile {
  return "code" in look;
}

function stateOf(look: Look): string {
  return JSON.stringify(isUnreadable(look) ? look : [...look]);
}
