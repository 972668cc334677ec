import { canceled } from "../../src/token/errors.ts";
import type { CreateToken, Lane, ListTokens, TokenPage, Upstream } from "../../src/token/ports.ts";
import type { CreatedToken, Token, TokenId, TokenSecret } from "../../src/token/token.ts";

interface Call<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export interface VerifyCall extends Call<Token | undefined> {
  readonly secret: TokenSecret;
  readonly lane: Lane;
}

export interface RevokeCall extends Call<Token> {
  readonly id: TokenId;
  readonly reason: string | undefined;
}

export interface CreateCall extends Call<CreatedToken> {
  readonly request: CreateToken;
}

/** An upstream that answers each call when, and as, the test says. */
export class ScriptedUpstream implements Upstream {
  readonly verifyScope = "scripted";
  readonly verifies: VerifyCall[] = [];
  readonly revokes: RevokeCall[] = [];
  readonly creates: CreateCall[] = [];
  verifyCount = 0;
  abortedCount = 0;

  verifyToken(secret: TokenSecret, lane: Lane, signal: AbortSignal): Promise<Token | undefined> {
    this.verifyCount += 1;
    return this.#pend(signal, (call: Call<Token | undefined>) => this.verifies.push({ ...call, secret, lane }));
  }

  revokeToken(id: TokenId, reason: string | undefined, signal: AbortSignal): Promise<Token> {
    return this.#pend(signal, (call: Call<Token>) => this.revokes.push({ ...call, id, reason }));
  }

  createToken(request: CreateToken, signal: AbortSignal): Promise<CreatedToken> {
    return this.#pend(signal, (call: Call<CreatedToken>) => this.creates.push({ ...call, request }));
  }

  listTokens(_request: ListTokens): Promise<TokenPage> {
    throw new Error("not scripted");
  }

  /** Takes the oldest verification that has not been answered. */
  nextVerify(): VerifyCall {
    const call = this.verifies.shift();
    if (call === undefined) throw new Error("no verification is waiting");
    return call;
  }

  nextRevoke(): RevokeCall {
    const call = this.revokes.shift();
    if (call === undefined) throw new Error("no revocation is waiting");
    return call;
  }

  nextCreate(): CreateCall {
    const call = this.creates.shift();
    if (call === undefined) throw new Error("no creation is waiting");
    return call;
  }

  #pend<T>(signal: AbortSignal, push: (call: Call<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      push({ resolve, reject, signal });
      signal.addEventListener("abort", () => {
        this.abortedCount += 1;
        reject(canceled());
      });
    });
  }
}
