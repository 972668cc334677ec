/** What to do about each stable reason that the gateway gives (ErrorInfo.reason). */
const HINTS: Readonly<Record<string, string>> = {
  UPSTREAM_UNAVAILABLE:
    "Clerk's API does not answer; try again shortly, and treat the token as neither valid nor invalid",
  UPSTREAM_BAD_RESPONSE: "Clerk's API answered something the gateway cannot read; check CLERK_API_URL at the gateway",
  UPSTREAM_TIMEOUT: "Clerk's API was too slow; try again, or raise the gateway's upstream timeout",
  UPSTREAM_RATE_LIMITED: "Clerk's rate limit is reached; wait before trying again, and prefer verdicts from the cache",
  UPSTREAM_CREDENTIAL_REJECTED:
    "Clerk refused the gateway's own key; check CLERK_MACHINE_SECRET_KEY and CLERK_SECRET_KEY there",
  UPSTREAM_FORBIDDEN: "the gateway's key may not do this; an instance key (CLERK_SECRET_KEY) may do more",
  UPSTREAM_QUOTA_EXCEEDED: "the quota of the Clerk plan is used up; see its dashboard",
  UPSTREAM_REJECTED_REQUEST: "Clerk did not accept the request; correct the fields named above",
  UPSTREAM_NOT_FOUND: "Clerk knows nothing by that id, or the gateway's key may not see it",
  UPSTREAM_CONFLICT: "something else changed it at the same time; try again",
  CREDENTIAL_MISSING: "give the gateway the key that this call needs: CLERK_MACHINE_SECRET_KEY to create tokens",
  OVERLOADED: "the gateway has too many calls waiting for Clerk; try again shortly",
  TOKEN_NOT_FOUND:
    "the token is unknown or no longer accepted; by its id it can be revoked with --id, and a JWT by its jti with --jwt as well",
  TOKEN_UNSURE: "the gateway has no token that it knows not to be revoked; try again shortly",
  REVOKED_NOT_BROADCAST:
    "the token is revoked at Clerk and at this replica; repeat the command so that the others learn of it",
  ARGUMENT_INVALID: "correct the fields named above",
  CURSOR_MALFORMED: "give a cursor exactly as the gateway printed it",
  CURSOR_OF_ANOTHER_LOG: "the cursor is from before the gateway's log was made anew; leave it out",
  UNSYNCED:
    "the replica has lost touch with the revocation log and cannot tell whether the JWT was revoked; try again shortly",
  SIGNING_KEY_UNKNOWN: "the gateway does not hold the key that the JWT is signed with yet; try again shortly",
  CURSOR_NOT_REACHED: "this replica is behind that cursor; try again, or raise --timeout",
  PAGE_TOKEN_INVALID: "start again without --page-token, and keep the other options the same from page to page",
  CALLER_UNAUTHENTICATED:
    "give a key that the gateway knows with --caller-key-file or GATEWAY_CALLER_KEY, or a certificate with --tls-cert and --tls-key",
  CALLER_FORBIDDEN: "the gateway's callers file grants this caller something else; see docs/security.md",
  CALLER_RATE_LIMITED: "wait as long as it says, or have this caller's limits raised",
  CALLER_CONCURRENCY_LIMITED: "make fewer calls at once, or have this caller's limits raised",
  CALLER_CHANGED: "the gateway's callers file has changed; call again, a watch with its cursor",
  CALLER_CREDENTIAL_REJECTED: "Clerk refuses the key in x-clerk-secret-key; it is the caller's own",
  PASSTHROUGH_DISABLED: "send no x-clerk-secret-key, or set GATEWAY_PASSTHROUGH=true at the gateway",
  SLOW_CONSUMER: "the output was read too slowly; resume with the cursor",
  DRAINING: "the gateway is shutting down; try again, at another replica if there is one",
  CANCELED: "the call was given up before an answer came",
  DEADLINE_EXCEEDED: "no answer in time; try again, or raise --timeout",
  MALFORMED_REQUEST: "the gateway cannot read the request; is it of this program's version?",
  MESSAGE_TOO_LARGE: "send less at once, or raise GATEWAY_MAX_MESSAGE_BYTES at the gateway",
  SERVICE_UNKNOWN: "the gateway has no service of that name; without --service it answers for all of them",
  UNIMPLEMENTED: "the gateway does not know this call; is it of this program's version?",
  INTERNAL: "a defect of the gateway; its log has the details",
};

export function hintOf(reason: string): string | undefined {
  return Object.hasOwn(HINTS, reason) ? HINTS[reason] : undefined;
}
