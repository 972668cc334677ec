import type { Caller } from "../callers/caller.ts";
import type { Badge, PeerOf } from "../callers/peer.ts";
import type { Role } from "../callers/role.ts";
import { fieldOf } from "../http2/request-head.ts";
import type { ServerStream } from "../http2/server-stream.ts";
import type { GatewayError } from "../token/errors.ts";
import type { AccessControl } from "./access-control.ts";

/** A lane's stream that was let in. */
export interface StreamEntry {
  readonly caller: Caller;
  /** Has the stream ended when its caller may not go on. Once. */
  follow(end: (error: GatewayError) => void): void;
  /** The stream is over. Later calls do nothing. */
  leave(): void;
}

/** Whose stream of the engine it would be, before it is let in or counted; `undefined` for nobody who may call. */
export function callerAt({ guard, peerOf }: AccessControl, stream: ServerStream): Caller | undefined {
  return guard.callers.identify(badgeAt(peerOf, stream));
}

/** Lets a stream of the engine in; `undefined` for one that is to be refused, by whoever can say why. */
export function enter({ guard, peerOf }: AccessControl, stream: ServerStream, role: Role): StreamEntry | undefined {
  const badge = badgeAt(peerOf, stream);
  const admission = guard.tryAdmit(badge, role);
  if (admission === undefined) return undefined;
  let unfollow = () => {};
  return {
    caller: admission.caller,
    follow(end) {
      unfollow = guard.follow(badge, role, admission, end);
    },
    leave() {
      unfollow();
      admission.release();
    },
  };
}

function badgeAt(peerOf: PeerOf, { socket, head }: ServerStream): Badge {
  return peerOf(socket).badge(fieldOf(head, "authorization"));
}
