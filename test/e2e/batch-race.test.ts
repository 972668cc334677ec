import { expect, it } from "vitest";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { startGatewayFixture, until } from "../support/gateway-fixture.ts";

it("answers REVOKED for a token of a batch that was decided before the revoke and sent after it", async () => {
  await using fixture = await startGatewayFixture();
  const [cached, slow] = [await fixture.mint(), await fixture.mint()];
  await fixture.tokens.verifyToken({ token: cached.secret });
  fixture.emulator.control.faults.add({ route: "m2m_tokens.verify", latency_ms: 500, count: 1 });
  const before = fixture.verifyRequests();
  const batch = fixture.tokens.batchVerifyTokens({ tokens: [cached.secret, slow.secret] });
  await until(() => fixture.verifyRequests() > before);
  await fixture.tokens.revokeToken({ target: { case: "tokenId", value: cached.id } });
  const verdicts = (await batch).results.map(({ result }) => result.case === "response" && result.value.verdict);
  expect(verdicts).toEqual([Verdict.REVOKED, Verdict.VALID]);
});
