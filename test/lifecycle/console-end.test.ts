import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";

const REVOKE = "m2m_tokens.revoke";

let fixture: GatewayFixture;
beforeEach(async () => {
  fixture = await startGatewayFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

it("a revocation by the console's hand is carried out and answered while the gateway ends", async () => {
  const { id } = await fixture.mint();
  const transport = createConnectTransport({ baseUrl: fixture.adminUrl, httpVersion: "1.1" });
  fixture.emulator.control.faults.add({ route: REVOKE, answer_latency_ms: 500 });
  const revoked = createClient(TokenService, transport).revokeToken({ target: { case: "tokenId", value: id } });
  const ended = until(() => fixture.emulator.control.requests.total(REVOKE) === 1).then(() => fixture.close());
  const [answer] = await Promise.all([revoked, ended]);
  expect(answer.token).toMatchObject({ id, revoked: true });
});

it("a revocation whose caller has left is recorded before the gateway ends", async () => {
  const { id } = await fixture.mint();
  fixture.emulator.control.faults.add({ route: REVOKE, answer_latency_ms: 500 });
  const leaving = new AbortController();
  const target = { case: "tokenId", value: id } as const;
  const left = fixture.tokens.revokeToken({ target }, { signal: leaving.signal }).catch(() => "left");
  await until(() => fixture.emulator.control.requests.total(REVOKE) === 1);
  leaving.abort();
  expect(await left).toBe("left");
  await fixture.close();
  const audits = fixture.logLines.filter((line) => line.includes('"audit":true') && line.includes("RevokeToken"));
  expect(audits.map((line) => JSON.parse(line))).toMatchObject([{ code: "OK", tokenId: id }]);
});
