import type { Cursor } from "./cursor.ts";
import { canceled, GatewayError, type Reason } from "./errors.ts";
import type { Clock, RevocationFact, RevocationLog, Upstream } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import type { Revocations } from "./revocations.ts";
import type { Token, TokenId } from "./token.ts";
import { parseSecret } from "./token-form.ts";
import { unlessAborted } from "./unless-aborted.ts";
import type { Verifier } from "./verifier.ts";

export interface RevokeRequest {
  readonly target: { readonly tokenId: TokenId } | { readonly presented: string };
  readonly reason: string | undefined;
  /** How far the revocation must have reached before the call returns. */
  readonly wait: Propagation;
  readonly signal: AbortSignal;
}

export type Propagation = "replica" | "fleet";

export interface RevokeResult {
  readonly fact: RevocationFact;
  /** The token as the upstream described it once revoked; `undefined` when it had forgotten the token by then. */
  readonly token: Token | undefined;
  readonly cursor: Cursor;
  readonly propagation: Propagation;
  /** The replicas that did not confirm it, but cannot be using cached verdicts any more; `*` for whoever there is. */
  readonly unconfirmed: readonly string[];
}

export interface RevokerOptions {
  readonly upstream: Upstream;
  readonly verifier: Verifier;
  readonly recorder: Recorder;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly log: RevocationLog;
  /** The staleness bound B. */
  readonly boundMs: number;
}

/** How the upstream may answer when it revoked the token before; which of them, nobody says. */
const REFUSALS: ReadonlySet<Reason> = new Set(["UPSTREAM_NOT_FOUND", "UPSTREAM_CONFLICT"]);

/** For the log to say who did not confirm, when somebody's lease runs out just at the bound. */
const FLEET_GRACE_MS = 50;

/**
 * Revokes: the upstream first, because it is the truth, then the log, then the answer.
 *
 * Once the upstream has been asked to revoke, the work goes on to its end even if the caller leaves: half a revocation
 * would be a token that is dead upstream and alive in caches.
 */
export class Revoker {
  readonly #options: RevokerOptions;

  constructor(options: RevokerOptions) {
    this.#options = options;
  }

  /**
   * @throws GatewayError TOKEN_NOT_FOUND, REVOKED_NOT_BROADCAST, CANCELED, CREDENTIAL_MISSING and those of the upstream
   */
  async revoke(request: RevokeRequest): Promise<RevokeResult> {
    const { signal, target } = request;
    if (signal.aborted) throw canceled();
    const id = "tokenId" in target ? target.tokenId : await this.#findId(target.presented, signal);
    return await unlessAborted(this.#revokeById(id, request), signal);
  }

  async #findId(presented: string, signal: AbortSignal): Promise<TokenId> {
    const secret = parseSecret(presented);
    if (secret === undefined) throw notFound();
    const token = await this.#options.verifier.identify(secret, signal);
    if (token === undefined) throw notFound();
    return token.id;
  }

  async #revokeById(id: TokenId, { reason, wait }: RevokeRequest): Promise<RevokeResult> {
    const { recorder, log } = this.#options;
    const { token, fact } = await this.#confirm(id, reason);
    const cursor = await recorder.record(fact);
    if (log.shared && wait === "replica") return { token, fact, cursor, propagation: "replica", unconfirmed: [] };
    return { token, fact, cursor, propagation: "fleet", unconfirmed: await this.#reachFleet(cursor) };
  }

  /**
   * Whatever happens to the log meanwhile, B after the append is late enough: a replica that has not applied the fact by
   * then has had no contact since before it, and has suspended its caches.
   */
  async #reachFleet(cursor: Cursor): Promise<readonly string[]> {
    const { log, clock, boundMs } = this.#options;
    const controller = new AbortController();
    let cancelTimer = () => {};
    const bound = new Promise<readonly string[]>((resolve) => {
      cancelTimer = clock.after(boundMs + FLEET_GRACE_MS, () => resolve(["*"]));
    });
    try {
      return await Promise.race([log.awaitFleet(cursor, controller.signal).catch(() => bound), bound]);
    } finally {
      cancelTimer();
      controller.abort();
    }
  }

  /**
   * The upstream's word that the token is revoked, given now or earlier. A failure leaves open whether it is: no promise
   * was made, but cached verdicts must not outlive the doubt.
   */
  async #confirm(id: TokenId, reason: string | undefined): Promise<{ token: Token | undefined; fact: RevocationFact }> {
    const { upstream, verifier, recorder, revocations } = this.#options;
    try {
      const token = await upstream.revokeToken(id, reason, new AbortController().signal);
      return { token, fact: revocations.find(id) ?? recorder.factOf(token, "api", reason ?? token.revocationReason) };
    } catch (error) {
      if (!isUnsent(error)) verifier.invalidate({ tokenId: id });
      const refused = error instanceof GatewayError && REFUSALS.has(error.reason);
      const fact = revocations.find(id);
      if (refused && fact !== undefined) return { token: undefined, fact };
      throw refused && error.reason === "UPSTREAM_NOT_FOUND" ? notFound(error) : error;
    }
  }
}

/** Whether nothing can have reached the upstream. */
function isUnsent(error: unknown): boolean {
  return error instanceof GatewayError && (error.reason === "OVERLOADED" || error.reason === "CREDENTIAL_MISSING");
}

function notFound(cause?: GatewayError): GatewayError {
  return new GatewayError(
    "TOKEN_NOT_FOUND",
    "the upstream knows no such token, or this gateway's credential may not revoke it",
    cause?.facts,
    cause,
  );
}
