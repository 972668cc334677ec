import { canceled, GatewayError, type Reason } from "./errors.ts";
import type { TokenFact, Upstream } from "./ports.ts";
import type { Propagation, Published, Publisher } from "./publisher.ts";
import type { Recorder } from "./recorder.ts";
import type { Revocations } from "./revocations.ts";
import type { MachineId, Token, TokenId } from "./token.ts";
import { parseSecret } from "./token-form.ts";
import { isTokenOf } from "./token-owner.ts";
import { unlessAborted } from "./unless-aborted.ts";
import type { Subjects } from "./verification.ts";
import type { Verifier } from "./verifier.ts";

export interface RevokeRequest {
  readonly target: RevokeTarget;
  readonly reason: string | undefined;
  /** How far the revocation must have reached before the call returns. */
  readonly wait: Propagation;
  /** Nothing but tokens of these machines is revoked. */
  readonly subjects?: Subjects;
  /** Told of the work that goes on even if the caller leaves, once the upstream is being asked to revoke. */
  readonly onBegun?: (work: Promise<RevokeResult>) => void;
  readonly signal: AbortSignal;
}

/** A token by its id, or by its secret. Of a JWT nobody else knows, so who names one by its id must say that it is one. */
export type RevokeTarget = { readonly tokenId: TokenId; readonly isJwt?: boolean } | { readonly presented: string };

export interface RevokeResult extends Published {
  readonly fact: TokenFact;
  /** The token as it was described last; `undefined` when nobody can. */
  readonly token: Token | undefined;
  /** Who refuses it: the upstream and all who ask it, or this fleet's gateways alone. */
  readonly enforcement: "upstream" | "gateways";
}

export interface RevokerOptions {
  readonly upstream: Upstream;
  readonly verifier: Verifier;
  readonly recorder: Recorder;
  readonly revocations: Revocations;
  readonly publisher: Publisher;
}

/** How the upstream may answer when it revoked the token before; which of them, nobody says. */
const REFUSALS: ReadonlySet<Reason> = new Set(["UPSTREAM_NOT_FOUND", "UPSTREAM_CONFLICT"]);

type Confirmed = Pick<RevokeResult, "fact" | "token" | "enforcement">;

/**
 * Revokes: the upstream first, because it is the truth, then the log, then the answer. A JWT, which the upstream does not
 * store, is revoked by the log alone.
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
   * @throws GatewayError TOKEN_NOT_FOUND, CALLER_FORBIDDEN, REVOKED_NOT_BROADCAST, CANCELED, CREDENTIAL_MISSING and those
   *   of the upstream
   */
  async revoke(request: RevokeRequest): Promise<RevokeResult> {
    const { signal, target, subjects } = request;
    if (signal.aborted) throw canceled();
    const token = "presented" in target ? await this.#identify(target.presented, signal) : undefined;
    if (subjects !== undefined) await this.#demandTheirs(target, token, subjects, signal);
    const work = this.#revoke(request, token);
    request.onBegun?.(work);
    return await unlessAborted(work, signal);
  }

  async #identify(presented: string, signal: AbortSignal): Promise<Token> {
    const secret = parseSecret(presented);
    const token = secret && (await this.#options.verifier.identify(secret, signal));
    if (token === undefined) throw notFound();
    return token;
  }

  async #demandTheirs(
    target: RevokeTarget,
    token: Token | undefined,
    subjects: ReadonlySet<MachineId>,
    signal: AbortSignal,
  ): Promise<void> {
    const { upstream, revocations } = this.#options;
    const id = "tokenId" in target ? target.tokenId : undefined;
    const subject = token?.subject ?? (id && revocations.find(id)?.subject);
    const isTheirs =
      subject === undefined
        ? id !== undefined && (await isTokenOf(upstream, id, subjects, signal))
        : subjects.has(subject);
    if (!isTheirs) throw forbidden();
  }

  async #revoke({ target, reason, wait }: RevokeRequest, token: Token | undefined): Promise<RevokeResult> {
    const confirmed = await this.#confirm(target, token, reason);
    return { ...confirmed, ...(await this.#options.publisher.publish(confirmed.fact, wait)) };
  }

  #confirm(target: RevokeTarget, token: Token | undefined, reason: string | undefined): Confirmed | Promise<Confirmed> {
    const { recorder, revocations } = this.#options;
    if (token?.format === "jwt") {
      const fact = recorder.factOf(token, "api", reason);
      return { token: { ...token, revoked: true, revocationReason: reason }, fact, enforcement: "gateways" };
    }
    if (token !== undefined) return this.#askUpstream(token.id, reason);
    if (!("tokenId" in target)) throw notFound();
    if (target.isJwt !== true) return this.#askUpstream(target.tokenId, reason);
    const fact = revocations.find(target.tokenId) ?? recorder.jwtFactOf(target.tokenId, reason);
    return { token: undefined, fact, enforcement: "gateways" };
  }

  /**
   * The upstream's word that the token is revoked, given now or earlier. A failure leaves open whether it is: no promise
   * was made, but cached verdicts must not outlive the doubt.
   */
  async #askUpstream(id: TokenId, reason: string | undefined): Promise<Confirmed> {
    const { upstream, verifier, recorder, revocations } = this.#options;
    const enforcement = "upstream";
    try {
      const token = await upstream.revokeToken(id, reason, new AbortController().signal);
      const fact = revocations.find(id) ?? recorder.factOf(token, "api", reason ?? token.revocationReason);
      return { token, fact, enforcement };
    } catch (error) {
      if (!isUnsent(error)) verifier.invalidate({ tokenId: id });
      const refused = error instanceof GatewayError && REFUSALS.has(error.reason);
      const fact = revocations.find(id);
      if (refused && fact !== undefined) return { token: undefined, fact, enforcement };
      throw refused && error.reason === "UPSTREAM_NOT_FOUND" ? notFound(error) : error;
    }
  }
}

/** Whether nothing can have reached the upstream. */
function isUnsent(error: unknown): boolean {
  return error instanceof GatewayError && (error.reason === "OVERLOADED" || error.reason === "CREDENTIAL_MISSING");
}

/** The same for a token of another machine and for one that does not exist. */
function forbidden(): GatewayError {
  return new GatewayError("CALLER_FORBIDDEN", "none of the subjects of this caller has such a token");
}

function notFound(cause?: GatewayError): GatewayError {
  return new GatewayError(
    "TOKEN_NOT_FOUND",
    "the upstream knows no such token, or this gateway's credential may not revoke it; the id of a JWT must be given as one",
    cause?.facts,
    cause,
  );
}
