import type { Caller } from "../callers/caller.ts";
import { areSameSubjects } from "../callers/caller.ts";
import type { Callers } from "../callers/callers.ts";
import type { Badge } from "../callers/peer.ts";
import type { Role } from "../callers/role.ts";
import { GatewayError } from "../token/errors.ts";

/** When to come back to a place that is taken: nobody knows how long calls take. */
const BUSY_RETRY_MS = 100;

/** A call that was let in. */
export interface AdmittedCall {
  readonly caller: Caller;
  /** The call is over. Later calls do nothing. */
  release(): void;
}

/** A stream that was let in, and how it is ended when its caller may not go on. */
interface OpenStream {
  readonly badge: Badge;
  readonly role: Role;
  readonly caller: Caller;
  end(error: GatewayError): void;
}

/** Lets calls in, by whom they are and by what their caller may. The same for every protocol and for the lanes. */
export class Guard {
  readonly callers: Callers;
  readonly #streams = new Set<OpenStream>();

  constructor(callers: Callers) {
    this.callers = callers;
    callers.onChange(() => this.#endStreams());
  }

  /**
   * Lets a call of an RPC in.
   * @throws GatewayError CALLER_UNAUTHENTICATED, CALLER_FORBIDDEN, CALLER_RATE_LIMITED, CALLER_CONCURRENCY_LIMITED
   */
  admit(badge: Badge, role: Role): AdmittedCall {
    const caller = this.callers.identify(badge);
    const refusal = refusalOf(caller, badge, role);
    if (caller === undefined || refusal !== undefined) throw refusal ?? unauthenticated(badge);
    const { allowance } = caller;
    if (allowance.isBusy) throw tooManyAtOnce();
    if (!allowance.take(1)) throw rateLimited(caller);
    allowance.admitted += 1;
    allowance.inFlight += 1;
    let isOver = false;
    return {
      caller,
      release: () => {
        if (!isOver) allowance.inFlight -= 1;
        isOver = true;
      },
    };
  }

  /** As `admit`; `undefined` for a call that is to be refused, by whoever can say why. */
  tryAdmit(badge: Badge, role: Role): AdmittedCall | undefined {
    try {
      return this.admit(badge, role);
    } catch (error) {
      if (error instanceof GatewayError) return undefined;
      throw error;
    }
  }

  /**
   * Ends a stream when the callers change and its caller may not go on, with CALLER_UNAUTHENTICATED, CALLER_FORBIDDEN or
   * CALLER_CHANGED. Returns how to stop.
   */
  follow(badge: Badge, role: Role, { caller }: AdmittedCall, end: (error: GatewayError) => void): () => void {
    const stream = { badge, role, caller, end };
    this.#streams.add(stream);
    return () => this.#streams.delete(stream);
  }

  #endStreams(): void {
    for (const stream of [...this.#streams]) {
      const { badge, role, caller } = stream;
      const now = this.callers.identify(badge);
      const error = refusalOf(now, badge, role) ?? changeOf(caller, now);
      if (error === undefined) continue;
      this.#streams.delete(stream);
      stream.end(error);
    }
  }
}

/** What ends a call that a browser makes for a page which may be anybody's. */
export function foreignPage(): GatewayError {
  return new GatewayError("CALLER_FORBIDDEN", "a page of another site needs a caller's key to call");
}

/** What ends the call of one who has used up its rate. */
export function rateLimited({ allowance }: Caller): GatewayError {
  const message = "the caller has used up its rate of requests";
  return new GatewayError("CALLER_RATE_LIMITED", message, { retryAfterMs: allowance.waitMs });
}

/** What ends a call that is about a machine which its caller has nothing to do with. */
export function subjectForbidden(): GatewayError {
  return new GatewayError("CALLER_FORBIDDEN", "the caller may not do this for that subject");
}

function refusalOf(caller: Caller | undefined, badge: Badge, role: Role): GatewayError | undefined {
  if (caller === undefined) return unauthenticated(badge);
  if (caller.roles.has(role)) return undefined;
  return new GatewayError("CALLER_FORBIDDEN", `this call needs the role ${role}`);
}

function unauthenticated({ authorization }: Badge): GatewayError {
  const message =
    authorization === undefined
      ? "this call needs a caller's key, as a bearer, or a client certificate that names a caller"
      : "the authorization header holds no known caller's key";
  return new GatewayError("CALLER_UNAUTHENTICATED", message);
}

function tooManyAtOnce(): GatewayError {
  const message = "the caller has as many calls under way as it may";
  return new GatewayError("CALLER_CONCURRENCY_LIMITED", message, { retryAfterMs: BUSY_RETRY_MS });
}

function changeOf(before: Caller, now: Caller | undefined): GatewayError | undefined {
  if (now?.name === before.name && areSameSubjects(now.subjects, before.subjects)) return undefined;
  return new GatewayError("CALLER_CHANGED", "what the caller may see has changed; come again");
}
