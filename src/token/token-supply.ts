import { GatewayError } from "./errors.ts";
import { keyIdOf } from "./jwt.ts";
import { unsure } from "./pool-failure.ts";
import { lastsFor, type PooledToken, pooledToken } from "./pooled-token.ts";
import type { Clock, Upstream } from "./ports.ts";
import type { Revocations } from "./revocations.ts";
import type { CreatedToken, Json, Token, TokenFormat } from "./token.ts";

export interface TokenSupplyOptions {
  readonly upstream: Upstream;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly random: () => number;
}

/** What kind of token is wanted. */
export interface TokenKind {
  readonly format: TokenFormat;
  /** `undefined`: the default of the machine. */
  readonly ttlSeconds: number | undefined;
  /** The claims as JSON text; `undefined` for none. */
  readonly claimsText: string | undefined;
  /** Whether the upstream may give a token that others hold too. */
  readonly shared: boolean;
}

export interface Order {
  readonly kind: TokenKind;
  /** How much life a caller needs the token to have, in milliseconds. */
  readonly needMs: number | undefined;
  /** `young`: with half of its life before it. `live`: any that serves. What others hold already is taken only so. */
  readonly wants: "young" | "live";
  /** How long such tokens live, where that is known. */
  readonly lifetimeMs: number | undefined;
}

export interface Supplied extends PooledToken {
  /** Whether the upstream was asked for a new token, so that its lifetime is that of its kind. */
  readonly isNew: boolean;
}

const MAX_ASKED = 3;

/** The times of JWTs are whole seconds: a revocation of all that were minted before it covers the second that it falls in. */
const NEXT_SECOND_MS = 1_000;

/**
 * Gets tokens from the upstream. A creation that failed is never repeated here. One that was answered may be followed by
 * another, when the answer is a token that others hold and that is too old, or one that has been revoked meanwhile.
 */
export class TokenSupply {
  readonly #options: TokenSupplyOptions;

  constructor(options: TokenSupplyOptions) {
    this.#options = options;
  }

  /** @throws GatewayError those of the upstream; TOKEN_UNSURE when it gave none that can be handed out */
  async obtain(order: Order, signal: AbortSignal): Promise<Supplied> {
    const { kind } = order;
    let leastSeconds = leastSecondsOf(order, this.#options.maxAgeMs);
    for (let asked = 1; asked <= MAX_ASKED; asked++) {
      const supplied = await this.#ask(kind, leastSeconds, signal);
      if (supplied !== undefined && this.#suits(supplied, order)) return supplied;
      const isRevoked = supplied !== undefined && this.isRevoked(supplied.token);
      if (supplied?.isNew === true && !isRevoked) throw unsure("the upstream's token has ended: compare the clocks");
      if (isRevoked && kind.format === "jwt") await this.#pause(NEXT_SECOND_MS);
      leastSeconds = undefined;
    }
    throw unsure("every token that the upstream gave was revoked as it came");
  }

  /** Whether a token must not be handed out, as far as this process knows. */
  isRevoked(token: Token): boolean {
    return token.revoked || this.#options.revocations.findFor(token) !== undefined;
  }

  /**
   * `undefined` when the upstream refuses, having minted nothing, perhaps only because the life that was asked for is longer
   * than such tokens live.
   */
  async #ask(
    { format, ttlSeconds, claimsText }: TokenKind,
    minRemainingTtlSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<Supplied | undefined> {
    const { upstream, clock } = this.#options;
    const claims: Json | undefined = claimsText === undefined ? undefined : JSON.parse(claimsText);
    const askedAtMs = clock.monotonicMs();
    try {
      const created = await upstream.createToken({ format, ttlSeconds, claims, minRemainingTtlSeconds }, signal);
      const isNew = minRemainingTtlSeconds === undefined;
      return { ...pooledToken(asItTellsItself(created), askedAtMs, this.#options), isNew };
    } catch (error) {
      const isRefused = error instanceof GatewayError && error.reason === "UPSTREAM_REJECTED_REQUEST";
      if (isRefused && minRemainingTtlSeconds !== undefined && minRemainingTtlSeconds > 1) return undefined;
      throw error;
    }
  }

  /** A new token is as good as they get, even where it is not what a caller needs. */
  #suits(supplied: Supplied, { kind, needMs, wants }: Order): boolean {
    const { clock } = this.#options;
    if (this.isRevoked(supplied.token) || supplied.token.expired) return false;
    if (supplied.isNew) return lastsFor(supplied, undefined, clock);
    if (!lastsFor(supplied, needMs, clock)) return false;
    if (kind.ttlSeconds !== undefined && supplied.lifetimeMs > (kind.ttlSeconds + 1) * 1_000) return false;
    return wants === "live" || clock.monotonicMs() < supplied.renewAtMs;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(ms, resolve);
    });
  }
}

/**
 * How much life a token must have left for the upstream to give it again instead of minting one; `undefined` lets it mint.
 * For a young one that is all but half of the life in which it is handed out, so that what another replica has just
 * renewed is taken and what is to be renewed is not.
 */
function leastSecondsOf({ kind, needMs, wants, lifetimeMs }: Order, maxAgeMs: number): number | undefined {
  // Without the log there is no other way to know that a token is good, not even one that is held for one caller alone.
  if (kind.format === "jwt" || (!kind.shared && wants === "young")) return undefined;
  const needSeconds = Math.max(1, Math.ceil((needMs ?? 0) / 1_000));
  if (wants === "live" || lifetimeMs === undefined) return needSeconds;
  const youngMs = lifetimeMs - Math.min(lifetimeMs, maxAgeMs) / 2;
  const leastSeconds = Math.max(needSeconds, Math.floor(youngMs / 1_000));
  return leastSeconds * 1_000 < lifetimeMs ? leastSeconds : undefined;
}

/**
 * A JWT says itself when it was minted, in whole seconds, and which key signed it. All who check it go by that, and so must
 * who asks whether it is revoked.
 */
function asItTellsItself({ token, secret }: CreatedToken): CreatedToken {
  if (token.format !== "jwt") return { token, secret };
  const createdAtMs = Math.floor(token.createdAtMs / 1_000) * 1_000;
  return { token: { ...token, createdAtMs, keyId: keyIdOf(secret) }, secret };
}
