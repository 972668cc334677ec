import { Callers, type CallersOptions } from "../../src/callers/callers.ts";
import { createPeers } from "../../src/callers/peer.ts";
import type { AccessControl } from "../../src/rpc/access-control.ts";
import { Guard } from "../../src/rpc/guard.ts";
import type { Clock } from "../../src/token/ports.ts";

/** Everybody may call everything, unless there are entries of a callers' file. */
export function openAccess(clock: Clock, entries?: CallersOptions["entries"]): AccessControl {
  return { guard: new Guard(new Callers({ clock, entries, demandsLocal: true })), peerOf: createPeers(true) };
}
