import { describe, expect, it } from "vitest";
import { createDomain, type Domain, verifyRequest } from "../../test/support/domain.ts";
import { ListingUpstream } from "../../test/support/listing-upstream.ts";
import { BILLING, REPORTS, secretOf, token, tokenId } from "../../test/support/tokens.ts";
import type { RevokeTarget } from "./revoker.ts";
import type { MachineId } from "./token.ts";

/** A domain whose upstream knows token 1 of BILLING, token 2 of REPORTS. */
async function start() {
  const tokens = [token(1), token(2, { subject: REPORTS })];
  const upstream = new ListingUpstream(tokens);
  for (const [index, each] of tokens.entries()) upstream.known.set(secretOf(index + 1), each);
  return { upstream, domain: await createDomain({ upstream }) };
}

function revoke({ revoker }: Domain, target: RevokeTarget, ...subjects: readonly MachineId[]) {
  const { signal } = new AbortController();
  return revoker.revoke({ target, reason: undefined, wait: "replica", subjects: new Set(subjects), signal });
}

describe("Revoker, for a caller with subjects of its own", () => {
  it("revokes their tokens, by the secret and by the id", async () => {
    const { domain } = await start();
    expect(await revoke(domain, { presented: secretOf(1) }, BILLING)).toMatchObject({ token: { revoked: true } });
    expect(await revoke(domain, { tokenId: tokenId(2) }, BILLING, REPORTS)).toMatchObject({ token: { revoked: true } });
  });

  it.each<[string, RevokeTarget]>([
    ["by the secret", { presented: secretOf(2) }],
    ["by the id", { tokenId: tokenId(2) }],
    ["by an id that nobody has", { tokenId: tokenId(3) }],
  ])("refuses another's token %s, and revokes nothing", async (_how, target) => {
    const { domain, upstream } = await start();
    await expect(revoke(domain, target, BILLING)).rejects.toMatchObject({ reason: "CALLER_FORBIDDEN" });
    expect([upstream.live, domain.revocations.liveCount]).toEqual([2, 0]);
  });

  it("knows by the fact whose a revoked token was, without a search", async () => {
    const { domain, upstream } = await start();
    await revoke(domain, { presented: secretOf(1) }, BILLING);
    upstream.listTokens = () => Promise.reject(new Error("nobody asks"));
    await expect(revoke(domain, { tokenId: tokenId(1) }, REPORTS)).rejects.toMatchObject({
      reason: "CALLER_FORBIDDEN",
    });
    expect(await revoke(domain, { tokenId: tokenId(1) }, BILLING)).toMatchObject({ fact: { tokenId: tokenId(1) } });
  });

  it("does not ask twice about a secret that the upstream has just refused", async () => {
    const { domain, upstream } = await start();
    let asked = 0;
    upstream.verifyToken = async () => {
      asked += 1;
      return undefined;
    };
    expect(await domain.verifier.verify(verifyRequest(secretOf(9)))).toMatchObject({ verdict: "invalid" });
    await expect(revoke(domain, { presented: secretOf(9) }, BILLING)).rejects.toMatchObject({
      reason: "TOKEN_NOT_FOUND",
    });
    expect(asked).toBe(1);
  });
});
