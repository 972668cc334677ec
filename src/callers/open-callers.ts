import { readFileSync } from "node:fs";
import type { Clock } from "../token/ports.ts";
import { Callers } from "./callers.ts";
import { CallersFileError, parseCallersFile } from "./callers-file.ts";
import { followFile } from "./file-follower.ts";

export interface OpenCallersOptions {
  /** Path of the callers' file; without it callers are not told apart. */
  readonly file: string | undefined;
  readonly demandsLocal: boolean;
  readonly clock: Clock;
  /** The file changed and is in force. */
  readonly onReload: (count: number) => void;
  /** The file changed, or cannot be read, and what it said before stays in force. */
  readonly onRefused: (error: unknown) => void;
}

export interface OpenCallers {
  readonly callers: Callers;
  /** Whether the file as it is now is in force. */
  isCurrent(): boolean;
  close(): void;
}

const INTERVAL_MS = 1_000;

/** Reads the callers' file, and follows it from then on. @throws CallersFileError when it cannot be used at the start */
export function openCallers(options: OpenCallersOptions): OpenCallers {
  const { file, demandsLocal, clock } = options;
  if (file === undefined) {
    const callers = new Callers({ clock, entries: undefined, demandsLocal });
    return { callers, isCurrent: () => true, close: () => undefined };
  }
  const text = readNow(file);
  const callers = new Callers({ clock, entries: parseCallersFile(text), demandsLocal });
  let current = true;
  const refuse = (error: unknown) => {
    current = false;
    options.onRefused(error);
  };
  const close = followFile({
    path: file,
    text,
    intervalMs: INTERVAL_MS,
    onText: (changed) => {
      try {
        const entries = parseCallersFile(changed);
        callers.replace(entries);
        current = true;
        options.onReload(entries.length);
      } catch (error) {
        refuse(error);
      }
    },
    onUnreadable: refuse,
  });
  return { callers, isCurrent: () => current, close };
}

function readNow(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new CallersFileError(`cannot be read (${code})`);
  }
}
