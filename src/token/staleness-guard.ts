import { GatewayError } from "./errors.ts";
import type { RevocationFeed } from "./revocation-feed.ts";
import type { Verification } from "./verification.ts";

/**
 * Whether the facts are fresh enough for what was decided of a JWT. Only a VALID could be contradicted by a fact that was
 * not read; and no better source could be asked meanwhile, because nobody else knows of a JWT's revocation.
 */
export class StalenessGuard {
  readonly #feed: RevocationFeed;
  readonly #allowsUnsyncedJwts: boolean;
  /** The longest staleness at which memory decided, in milliseconds. */
  worstMs = 0;

  constructor(feed: RevocationFeed, allowsUnsyncedJwts: boolean) {
    this.#feed = feed;
    this.#allowsUnsyncedJwts = allowsUnsyncedJwts;
  }

  permits({ verdict }: Verification, nowMs: number): boolean {
    if (verdict !== "valid") return true;
    if (!this.#feed.isFresh(nowMs) || !this.#feed.isSettled) return this.#allowsUnsyncedJwts;
    this.note(nowMs);
    return true;
  }

  /** @throws GatewayError UNSYNCED */
  demand(verification: Verification, nowMs: number): Verification {
    if (this.permits(verification, nowMs)) return verification;
    throw new GatewayError(
      "UNSYNCED",
      "this replica's view of the revocation log is not fresh or not whole, and nobody else knows of a JWT's revocation",
    );
  }

  /** Memory decides, while the facts are fresh. */
  note(nowMs: number): void {
    const stalenessMs = this.#feed.stalenessMs(nowMs);
    if (stalenessMs > this.worstMs) this.worstMs = stalenessMs;
  }
}
