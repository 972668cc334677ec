import { expect, it } from "vitest";
import { createDomain, SwitchedAdmission, TTL_MS, verifyRequest } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { goodClaims, goodHeader, makeIssuerKey, mint, mintRaw, RULES } from "../../test/support/jwts.ts";
import { secretOf, token } from "../../test/support/tokens.ts";
import { FixedKey } from "./signing-keys.ts";

const KEY = makeIssuerKey();

it("refuses tokens that memory does not know, before anybody is asked, and answers and renews those that it does", async () => {
  const admission = new SwitchedAdmission();
  const domain = await createDomain({ admission });
  const first = domain.verifier.verify(verifyRequest(secretOf(1)));
  domain.upstream.nextVerify().resolve(token(1));
  await first;

  admission.refusesUnknown = true;
  await expect(domain.verifier.verify(verifyRequest(secretOf(2)))).rejects.toMatchObject({ reason: "OVERLOADED" });
  expect(domain.upstream.verifies).toHaveLength(0);
  expect(await domain.verifier.verify(verifyRequest(secretOf(1)))).toMatchObject({
    verdict: "valid",
    source: "memory",
  });
  domain.clock.advance(TTL_MS);
  const renewed = domain.verifier.verify(verifyRequest(secretOf(1)));
  domain.upstream.nextVerify().resolve(token(1));
  expect(await renewed).toMatchObject({ verdict: "valid", source: "upstream" });
});

/** A domain with a key, and how often that was looked up: no signature is checked without. */
async function withKey() {
  const admission = new SwitchedAdmission();
  const looked = { up: 0 };
  class CountedKey extends FixedKey {
    override find() {
      looked.up += 1;
      return super.find();
    }
  }
  const domain = await createDomain({ admission, jwts: { keys: new CountedKey(KEY.publicKey), rules: RULES } });
  return { ...domain, admission, looked };
}

it("checks no signature of a JWT that memory does not know, good or forged, while there is too much to do", async () => {
  const { verifier, admission, looked, upstream } = await withKey();
  const [seen, fresh] = [await mint(KEY, goodClaims(1)), await mint(KEY, goodClaims(2))];
  const forged = mintRaw(makeIssuerKey(), goodHeader(KEY), goodClaims(3));
  expect(verifier.recall(seen)).toMatchObject({ verdict: "valid" });

  admission.refusesUnknown = true;
  looked.up = 0;
  for (const presented of [fresh, forged, "a.b.c"]) {
    const bytes = Buffer.from(presented);
    expect(verifier.recall(presented)).toBeUndefined();
    expect(verifier.recallBytes(bytes, 0, bytes.length)).toBeUndefined();
    await expect(verifier.verify(verifyRequest(presented))).rejects.toMatchObject({ reason: "OVERLOADED" });
  }
  expect(looked.up).toBe(0);
  expect(verifier.recall(seen)).toMatchObject({ verdict: "valid" });
  expect(await verifier.verify(verifyRequest(seen))).toMatchObject({ verdict: "valid", source: "local" });

  admission.refusesUnknown = false;
  expect(verifier.recall(fresh)).toMatchObject({ verdict: "valid" });
  expect(verifier.recall(forged)).toMatchObject({ verdict: "invalid", failedCheck: "signature" });
  expect(upstream.verifyCount).toBe(0);
});

it("revokes a JWT that memory does not know, however much there is to do", async () => {
  const { verifier, revoker, admission } = await withKey();
  const presented = await mint(KEY);
  admission.refusesUnknown = true;
  const target = { presented };
  const revoked = revoker.revoke({ target, reason: "leaked", wait: "replica", signal: new AbortController().signal });
  await settle();
  expect((await revoked).token).toMatchObject({ revoked: true });
  admission.refusesUnknown = false;
  expect(verifier.recall(presented)).toMatchObject({ verdict: "revoked" });
});
