import { GatewayError } from "../../src/token/errors.ts";
import type { CreateToken, Lane, ListTokens, TokenPage, Upstream } from "../../src/token/ports.ts";
import type { CreatedToken, Token, TokenId, TokenSecret } from "../../src/token/token.ts";

/** An upstream that holds opaque tokens, lists and revokes them, and fails as the test says. */
export class ListingUpstream implements Upstream {
  readonly verifyScope = "listing";
  readonly known = new Map<TokenSecret, Token>();
  readonly reasons = new Set<string | undefined>();
  readonly #tokens: readonly Token[];
  /** How often each token has been listed since it was revoked. */
  readonly #revoked = new Map<TokenId, number>();
  /** In how many more listings a token is shown as it was, once it is revoked. */
  listsRevokedFor = 0;
  failRevokesAfter = Number.POSITIVE_INFINITY;
  listError: GatewayError | undefined;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** How many are not revoked. */
  get live(): number {
    return this.#tokens.length - this.#revoked.size;
  }

  async verifyToken(secret: TokenSecret, _lane: Lane, _signal: AbortSignal): Promise<Token | undefined> {
    return this.known.get(secret);
  }

  async listTokens({ limit, offset }: ListTokens): Promise<TokenPage> {
    if (this.listError !== undefined) throw this.listError;
    const shown = this.#tokens.filter(({ id }) => (this.#revoked.get(id) ?? -1) < this.listsRevokedFor);
    const visible = shown.filter(({ id }) => !this.#revoked.has(id) || this.listsRevokedFor > 0);
    for (const { id } of visible) {
      const listings = this.#revoked.get(id);
      if (listings !== undefined) this.#revoked.set(id, listings + 1);
    }
    return { tokens: visible.slice(offset, offset + limit), totalCount: visible.length };
  }

  async revokeToken(id: TokenId, reason: string | undefined): Promise<Token> {
    if (this.#revoked.size >= this.failRevokesAfter) throw new GatewayError("UPSTREAM_UNAVAILABLE", "away");
    const token = this.#tokens.find((each) => each.id === id);
    if (token === undefined) throw new GatewayError("UPSTREAM_NOT_FOUND", "unknown");
    this.reasons.add(reason);
    this.#revoked.set(id, this.#revoked.get(id) ?? 0);
    return { ...token, revoked: true, revocationReason: reason };
  }

  createToken(_request: CreateToken): Promise<CreatedToken> {
    throw new Error("not scripted");
  }
}
