import { execFile } from "node:child_process";
import type { Served } from "./served.ts";

/** A client of somebody else's. */
export interface MatrixClient {
  readonly name: string;
  /** Makes it ready to run. @throws Error that says what is missing */
  prepare(): Promise<void>;
  /** @throws Error when it did not see what it should */
  play(served: Served): Promise<void>;
}

const TIMEOUT_MS = 60_000;

/** Runs a program and gives what it printed. @throws Error with what it said */
export function outputOf(file: string, args: readonly string[], cwd?: string, timeoutMs = TIMEOUT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, [...args], { timeout: timeoutMs, ...(cwd !== undefined && { cwd }) }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr.trim() || error.message));
    });
  });
}
