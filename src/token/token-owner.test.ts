import { describe, expect, it } from "vitest";
import { ScriptedUpstream } from "../../test/support/scripted-upstream.ts";
import { BILLING, REPORTS, token, tokenId } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import type { ListTokens, TokenPage } from "./ports.ts";
import type { MachineId, Token } from "./token.ts";
import { isTokenOf } from "./token-owner.ts";

/** Lists the tokens of each machine, a page at a time, and knows no other machine. */
class Listing extends ScriptedUpstream {
  readonly asked: ListTokens[] = [];
  readonly #tokens: ReadonlyMap<MachineId, readonly Token[]>;

  constructor(tokens: ReadonlyMap<MachineId, readonly Token[]>) {
    super();
    this.#tokens = tokens;
  }

  override async listTokens(request: ListTokens): Promise<TokenPage> {
    this.asked.push(request);
    const tokens = this.#tokens.get(request.subject);
    if (tokens === undefined) throw new GatewayError("UPSTREAM_NOT_FOUND", "no such machine");
    return { tokens: tokens.slice(request.offset, request.offset + request.limit), totalCount: tokens.length };
  }
}

const numbered = (count: number, subject: MachineId) => Array.from({ length: count }, (_, n) => token(n, { subject }));
const { signal } = new AbortController();

describe("isTokenOf", () => {
  it("finds a token on a later page, revoked and expired ones among them, and asks no further", async () => {
    const upstream = new Listing(new Map([[BILLING, numbered(350, BILLING)]]));
    expect(await isTokenOf(upstream, tokenId(150), new Set([BILLING]), signal)).toBe(true);
    expect(upstream.asked.map(({ offset }) => offset)).toEqual([0, 100]);
    expect(upstream.asked[0]).toMatchObject({ subject: BILLING, includeRevoked: true, includeExpired: true });
  });

  it("searches each of the machines to its end, and takes one that the upstream does not know for empty", async () => {
    const unknown = "mch_unknown00000000000000000000" as MachineId;
    const upstream = new Listing(
      new Map([
        [BILLING, numbered(100, BILLING)],
        [REPORTS, numbered(3, REPORTS)],
      ]),
    );
    expect(await isTokenOf(upstream, tokenId(999), new Set([unknown, BILLING, REPORTS]), signal)).toBe(false);
    expect(upstream.asked.map(({ subject, offset }) => [subject, offset])).toEqual([
      [unknown, 0],
      [BILLING, 0],
      [BILLING, 100],
      [REPORTS, 0],
    ]);
  });

  it("does not believe a listing that shows another machine's token", async () => {
    const upstream = new Listing(new Map([[BILLING, numbered(3, REPORTS)]]));
    expect(await isTokenOf(upstream, tokenId(1), new Set([BILLING]), signal)).toBe(false);
  });

  it("gives up, refusing, after 10,000 tokens", async () => {
    const upstream = new Listing(new Map([[BILLING, numbered(10_001, BILLING)]]));
    const search = isTokenOf(upstream, tokenId(10_000), new Set([BILLING]), signal);
    await expect(search).rejects.toMatchObject({ reason: "CALLER_FORBIDDEN" });
    expect(upstream.asked).toHaveLength(100);
  });

  it("fails as the upstream does", async () => {
    const upstream = new Listing(new Map());
    upstream.listTokens = () => Promise.reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away"));
    const search = isTokenOf(upstream, tokenId(1), new Set([BILLING]), signal);
    await expect(search).rejects.toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
  });
});
