import type { PeerOf } from "../callers/peer.ts";
import type { Guard } from "./guard.ts";

/** Who is at the other end of a port's connections, and what they may call. */
export interface AccessControl {
  readonly guard: Guard;
  readonly peerOf: PeerOf;
}
