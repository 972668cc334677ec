import type { MachineId } from "../token/token.ts";
import type { Allowance } from "./allowance.ts";
import type { Role } from "./role.ts";

/** What all callers without a name are counted as. No file can name anybody so. */
export const UNNAMED = "unnamed";

/** Somebody who calls, and what the file grants. Replaced, not changed, when the file says otherwise. */
export interface Caller {
  /** From the file, so that there are not more names than there are callers in it. */
  readonly name: string;
  /** What is kept for it alone is kept under this; `undefined` where callers are not told apart. */
  readonly identity: string | undefined;
  readonly roles: ReadonlySet<Role>;
  /** The machines whose tokens it may verify, list, revoke and hear of; `undefined` for all. Never empty. */
  readonly subjects: ReadonlySet<MachineId> | undefined;
  readonly allowance: Allowance;
}

/** Whether two sets of subjects are the same. */
export function areSameSubjects(a: Caller["subjects"], b: Caller["subjects"]): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.size === b.size && [...a].every((subject) => b.has(subject));
}
