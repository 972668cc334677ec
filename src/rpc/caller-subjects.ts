import type { Caller } from "../callers/caller.ts";
import type { MachineId } from "../token/token.ts";
import { subjectForbidden } from "./guard.ts";

/**
 * Demands that a caller may have to do with a machine.
 *
 * @param subject `undefined` for a call that is about all of them
 * @throws GatewayError CALLER_FORBIDDEN
 */
export function demandSubject(caller: Caller | undefined, subject: string | undefined): void {
  const subjects = caller?.subjects;
  if (subjects === undefined) return;
  if (subject === undefined || !subjects.has(subject as MachineId)) throw subjectForbidden();
}

/** Shared by all who watch everything: most do. */
const ALL: ReadonlySet<MachineId> = new Set();

/**
 * The machines whose revocations a caller is told of, when it asks for those of `named`, or for all it may know when it
 * names none. Empty for all there are.
 *
 * @throws GatewayError CALLER_FORBIDDEN
 */
export function visibleSubjects(caller: Caller | undefined, named: readonly string[]): ReadonlySet<MachineId> {
  if (named.length === 0) return caller?.subjects ?? ALL;
  for (const subject of named) demandSubject(caller, subject);
  return new Set(named as MachineId[]);
}
