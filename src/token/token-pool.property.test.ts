import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDomain, type Domain } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { acquireRequest, minted } from "../../test/support/pool.ts";
import { token, tokenId } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import type { CreatedToken, Token, TokenId } from "./token.ts";

const TTL_MS = 100_000;

type Step =
  | { readonly do: "acquire"; readonly needMs: number | undefined; readonly claims: number; readonly leaves: boolean }
  | { readonly do: "answer"; readonly how: "mints" | "reuses" | "fails" | "refuses" }
  | { readonly do: "revoke" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "distrust" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("acquire" as const),
      needMs: fc.option(fc.integer({ min: 0, max: 0.9 * TTL_MS }), { nil: undefined, freq: 2 }),
      claims: fc.integer({ min: 0, max: 1 }),
      leaves: fc.constantFrom(true, false, false, false),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("answer" as const),
      how: fc.constantFrom(
        "mints" as const,
        "mints" as const,
        "mints" as const,
        "reuses" as const,
        "fails" as const,
        "refuses" as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("revoke" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: TTL_MS / 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("distrust" as const) }) },
);

/** Plays steps against a pool and an upstream that may give again any live token that it minted. */
class History {
  readonly #domain: Domain;
  readonly #minted: CreatedToken[] = [];
  readonly #revoked = new Set<TokenId>();
  readonly #claimsOf = new Map<TokenId, unknown>();
  /** What must never happen and did. */
  readonly violations: string[] = [];
  asked = 0;
  answered = 0;
  given = 0;

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  async play(next: Step): Promise<void> {
    const { clock, pool } = this.#domain;
    if (next.do === "acquire") this.#acquire(next);
    else if (next.do === "answer") this.#answer(next.how);
    else if (next.do === "revoke") this.#revoke();
    else if (next.do === "wait") clock.advance(next.ms);
    else pool.distrust();
    const kinds = this.#domain.upstream.creates.map(({ request }) => request.claims);
    if (new Set(kinds).size < kinds.length) this.violations.push("two creations of one kind at once");
    await settle();
  }

  #acquire({ needMs, claims, leaves }: Step & { do: "acquire" }): void {
    const { pool } = this.#domain;
    const leaver = new AbortController();
    const ask = async () =>
      pool.acquire(acquireRequest({ claims, minRemainingMs: needMs, ...(leaves ? { signal: leaver.signal } : {}) }));
    this.asked += 1;
    ask()
      .then(
        ({ token }) => this.#check(token, claims, needMs),
        (error: unknown) => {
          if (!(error instanceof GatewayError)) this.violations.push(String(error));
        },
      )
      .finally(() => {
        this.answered += 1;
      });
    if (leaves) leaver.abort();
  }

  #check({ id, expiresAtMs = 0 }: Token, claims: number, needMs = 1): void {
    this.given += 1;
    if (this.#revoked.has(id)) this.violations.push("a revoked token was given");
    if (expiresAtMs - this.#domain.clock.wallMs() < Math.max(1, needMs))
      this.violations.push("too little life is left");
    if (this.#claimsOf.get(id) !== claims) this.violations.push("the token of other claims was given");
  }

  #answer(how: "mints" | "reuses" | "fails" | "refuses"): void {
    const call = this.#domain.upstream.creates.shift();
    if (call === undefined) return;
    const { minRemainingTtlSeconds: least, claims } = call.request;
    if (how === "fails") call.reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away"));
    else if (how === "refuses") call.reject(new GatewayError("UPSTREAM_REJECTED_REQUEST", "no"));
    else {
      const wallMs = this.#domain.clock.wallMs();
      const live = this.#minted.findLast(
        ({ token: { id, expiresAtMs = 0 } }) =>
          !this.#revoked.has(id) && this.#claimsOf.get(id) === claims && expiresAtMs - wallMs >= (least ?? 0) * 1_000,
      );
      call.resolve(how === "reuses" && least !== undefined && live !== undefined ? live : this.#mint(claims));
    }
  }

  #mint(claims: unknown): CreatedToken {
    const created = minted(this.#domain, this.#minted.length + 1, { ttlMs: TTL_MS });
    this.#minted.push(created);
    this.#claimsOf.set(created.token.id, claims);
    return created;
  }

  /** The latest token, or one that is on its way: its fact is there before it is. */
  #revoke(): void {
    const { recorder, upstream } = this.#domain;
    const n = Math.max(1, this.#minted.length + (upstream.creates.length > 0 ? 1 : 0));
    this.#revoked.add(tokenId(n));
    recorder.recordInBackground(recorder.factOf(token(n), "api"));
  }

  async end(): Promise<void> {
    this.#domain.pool.close();
    await settle();
  }
}

describe("the token pool", () => {
  it("gives no token that is revoked, too short-lived or another's, whatever happens in whatever order", async () => {
    let given = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const history = new History(await createDomain());
        for (const next of steps) await history.play(next);
        await history.end();
        expect(history.violations).toEqual([]);
        expect(history.answered, "a caller was left without an answer").toBe(history.asked);
        given += history.given;
      }),
      { numRuns: 200 },
    );
    expect(given).toBeGreaterThan(100);
  });
});
