import { canceled, GatewayError, type Reason } from "./errors.ts";
import type { Clock, RevocationFact, Upstream } from "./ports.ts";
import type { Propagation, Published, Publisher } from "./publisher.ts";
import type { Recorder } from "./recorder.ts";
import type { Revocations } from "./revocations.ts";
import type { MachineId, Token, TokenId } from "./token.ts";

export interface SubjectRevokerOptions {
  readonly upstream: Upstream;
  readonly recorder: Recorder;
  readonly revocations: Revocations;
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** By how much a JWT may have been minted in the future and still be accepted, in milliseconds. */
  readonly clockSkewMs: number;
}

export interface RevokeSubjectRequest {
  readonly subject: MachineId;
  /** Wall clock, milliseconds; `undefined` for the latest instant that may be given. */
  readonly issuedBeforeMs: number | undefined;
  readonly reason: string | undefined;
  readonly wait: Propagation;
  /** Called for each token that the upstream has revoked, also when nobody reads on. Must not throw. */
  readonly onRevoked?: (() => void) | undefined;
  readonly signal: AbortSignal;
}

export type SubjectProgress =
  | ({ readonly kind: "watermark"; readonly issuedBeforeMs: number } & Published)
  | { readonly kind: "progress"; readonly revoked: number; readonly remaining: number }
  | { readonly kind: "summary"; readonly revoked: number; readonly incompleteReason: Reason | undefined };

const PAGE_SIZE = 100;
/** Revocations under way at once: the upstream's own limits are kept by its client. */
const AT_ONCE = 10;
/** Listings in a row that show only what was revoked already, and the pause after each: the upstream has that long to notice. */
const MAX_STALE_PASSES = 20;
const STALE_PAUSE_MS = 500;
/** What says that the gateway's key does not reach this machine's tokens, however often it is tried. */
const NOT_ALLOWED: ReadonlySet<Reason> = new Set(["CREDENTIAL_MISSING", "UPSTREAM_FORBIDDEN", "UPSTREAM_NOT_FOUND"]);
/** What the upstream answers about a token that has expired, or that somebody else revoked, since it was listed. */
const GONE: ReadonlySet<Reason> = new Set(["UPSTREAM_NOT_FOUND", "UPSTREAM_CONFLICT"]);

/**
 * Revokes what machines minted and what keys signed: a fact for all of it first, because it holds at once and for JWTs
 * nothing else does, then the opaque tokens upstream, one by one. Every step may be repeated.
 */
export class SubjectRevoker {
  readonly #options: SubjectRevokerOptions;

  constructor(options: SubjectRevokerOptions) {
    this.#options = options;
  }

  /** @throws GatewayError REVOKED_NOT_BROADCAST */
  async revokeKey(keyId: string, reason: string | undefined, wait: Propagation): Promise<Published> {
    const { recorder, publisher } = this.#options;
    return await publisher.publish(recorder.keyFactOf(keyId, reason), wait);
  }

  /**
   * @throws GatewayError ARGUMENT_INVALID for an instant in the future, REVOKED_NOT_BROADCAST, CANCELED and those of the
   *   upstream that may pass
   */
  async *revokeSubject(request: RevokeSubjectRequest): AsyncGenerator<SubjectProgress> {
    const { recorder, revocations, publisher } = this.#options;
    const latestMs = this.#latestMs();
    const askedForMs = request.issuedBeforeMs ?? latestMs;
    if (askedForMs > latestMs) throw inTheFuture();
    const fact = recorder.subjectFactOf(request.subject, askedForMs, request.reason);
    const issuedBeforeMs = Math.max(askedForMs, watermarkOf(revocations.held(fact)));
    // Below one that stands it says nothing new; what stands is what must be in the log and known to the fleet.
    const toPublish = issuedBeforeMs > askedForMs ? (revocations.held(fact) ?? fact) : fact;
    yield { kind: "watermark", issuedBeforeMs, ...(await publisher.publish(toPublish, request.wait)) };
    yield* this.#revokeUpstream(request, issuedBeforeMs);
  }

  /**
   * The whole second in which the last JWT could be minted that is acceptable now is over then: `iat` may lie ahead by the
   * skew and no further.
   */
  #latestMs(): number {
    const { clock, clockSkewMs } = this.#options;
    return Math.floor((clock.wallMs() + clockSkewMs) / 1000) * 1000 + 1000;
  }

  async *#revokeUpstream(request: RevokeSubjectRequest, issuedBeforeMs: number): AsyncGenerator<SubjectProgress> {
    const done = new Set<TokenId>();
    try {
      for (let stalePasses = 0; stalePasses < MAX_STALE_PASSES; stalePasses += 1) {
        const before = done.size;
        const isClean = yield* this.#pass(request, issuedBeforeMs, done);
        if (isClean) {
          yield { kind: "summary", revoked: done.size, incompleteReason: undefined };
          return;
        }
        if (done.size > before) stalePasses = 0;
        else await this.#pause();
      }
      yield { kind: "summary", revoked: done.size, incompleteReason: "UPSTREAM_BAD_RESPONSE" };
    } catch (error) {
      if (!(error instanceof GatewayError) || !NOT_ALLOWED.has(error.reason)) throw error;
      yield { kind: "summary", revoked: done.size, incompleteReason: error.reason };
    }
  }

  /**
   * Goes through the tokens that are not revoked, once. Those that it revokes leave the list, so the place in the list moves
   * on only by those that stay. Where the upstream shows them for a while yet and they leave later, others slip past: the pass
   * is clean, and its return value true, only when it saw nothing but tokens that may stay.
   */
  async *#pass(
    request: RevokeSubjectRequest,
    issuedBeforeMs: number,
    done: Set<TokenId>,
  ): AsyncGenerator<SubjectProgress, boolean> {
    const { upstream } = this.#options;
    const { subject, signal } = request;
    let isClean = true;
    for (let offset = 0; ; ) {
      if (signal.aborted) throw canceled();
      const list = { subject, includeRevoked: false, includeExpired: false, limit: PAGE_SIZE, offset };
      const { tokens, totalCount } = await upstream.listTokens(list, signal);
      const condemned = tokens.filter((token) => isDue(token, issuedBeforeMs));
      const due = condemned.filter(({ id }) => !done.has(id));
      isClean &&= condemned.length === 0;
      for (let start = 0; start < due.length; start += AT_ONCE) {
        await this.#revokeAll(due.slice(start, start + AT_ONCE), request, done);
      }
      if (due.length > 0) {
        yield { kind: "progress", revoked: done.size, remaining: Math.max(0, totalCount - due.length) };
      }
      offset += tokens.length - due.length;
      if (tokens.length < PAGE_SIZE) return isClean;
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(STALE_PAUSE_MS, resolve);
    });
  }

  async #revokeAll(
    tokens: readonly Token[],
    { reason, onRevoked }: RevokeSubjectRequest,
    done: Set<TokenId>,
  ): Promise<void> {
    const outcomes = await Promise.allSettled(
      tokens.map(async ({ id }) => {
        await this.#revoke(id, reason);
        done.add(id);
        onRevoked?.();
      }),
    );
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  async #revoke(id: TokenId, reason: string | undefined): Promise<void> {
    try {
      await this.#options.upstream.revokeToken(id, reason, new AbortController().signal);
    } catch (error) {
      const isGone = error instanceof GatewayError && GONE.has(error.reason);
      if (!isGone) throw error;
    }
  }
}

function isDue({ createdAtMs, revoked }: Token, issuedBeforeMs: number): boolean {
  return !revoked && createdAtMs < issuedBeforeMs;
}

function watermarkOf(fact: RevocationFact | undefined): number {
  return fact !== undefined && "issuedBeforeMs" in fact ? fact.issuedBeforeMs : Number.NEGATIVE_INFINITY;
}

function inTheFuture(): GatewayError {
  const description = "must not be in the future: tokens that are not minted yet cannot be revoked";
  const violations = [{ field: "issued_before", description }];
  return new GatewayError("ARGUMENT_INVALID", `issued_before: ${description}`, { violations });
}
