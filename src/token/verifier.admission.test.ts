import { expect, it } from "vitest";
import { createDomain, TTL_MS, verifyRequest } from "../../test/support/domain.ts";
import { secretOf, token } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";

it("refuses tokens that memory does not know, before anybody is asked, and answers and renews those that it does", async () => {
  let isBusy = false;
  const admitUnknown = () => {
    if (isBusy) throw new GatewayError("OVERLOADED", "busy");
  };
  const domain = await createDomain({ admitUnknown });
  const first = domain.verifier.verify(verifyRequest(secretOf(1)));
  domain.upstream.nextVerify().resolve(token(1));
  await first;

  isBusy = true;
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
