import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCallerKey, fingerprintOf } from "../../src/callers/caller-key.ts";

/** Whom the load comes from. */
export interface BenchCaller {
  /** What every request of the load carries, to every peer. */
  readonly authorization: string;
  /** The file by which the gateway knows the caller. */
  readonly file: string;
}

/** One caller with a bearer key, who may verify, revoke and watch, within limits that the load does not reach. */
export function makeCaller(folder: string): BenchCaller {
  const key = createCallerKey();
  const limits = { requestsPerSecond: 1_000_000, burst: 1_000_000, concurrency: 100_000 };
  const callers = [{ name: "load", roles: ["verify", "revoke", "watch"], keys: [fingerprintOf(key)], limits }];
  const file = join(folder, "callers.json");
  writeFileSync(file, JSON.stringify({ callers }));
  return { authorization: `Bearer ${key}`, file };
}
