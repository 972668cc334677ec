import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Source, TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";

const CALLERS = 1000;
const VERIFY = "m2m_tokens.verify";

describe("concurrent verifications of one token", () => {
  let fixture: GatewayFixture;
  beforeEach(async () => {
    fixture = await startGatewayFixture();
  });
  afterEach(() => fixture[Symbol.asyncDispose]());

  /** A caller that can leave before it is answered. */
  function leavingCaller(token: string) {
    const controller = new AbortController();
    const call = fixture.tokens.verifyToken({ token }, { signal: controller.signal });
    const outcome = call.then(
      () => "answered",
      () => "left",
    );
    return { outcome, leave: () => controller.abort() };
  }

  it("cost one upstream request, however many and by whichever protocol, and all are VALID", async () => {
    const { secret } = await fixture.mint();
    fixture.emulator.control.faults.add({ route: VERIFY, answer_latency_ms: 400 });
    const overHttp1 = createClient(
      TokenService,
      createConnectTransport({ baseUrl: fixture.url, httpVersion: "1.1", useBinaryFormat: false }),
    );
    const answers = await Promise.all(
      Array.from({ length: CALLERS }, (_, n) =>
        (n % 10 === 0 ? overHttp1 : fixture.tokens).verifyToken({ token: secret }),
      ),
    );
    expect(answers.filter(({ verdict }) => verdict === Verdict.VALID)).toHaveLength(CALLERS);
    expect(fixture.verifyRequests()).toBe(1);

    const { cache } = await fixture.gateway.getStatus({});
    expect((cache?.joined ?? 0n) + (cache?.hits ?? 0n)).toBe(BigInt(CALLERS - 1));
    expect(cache?.joined).toBeGreaterThan(0n);
  });

  it("share the answer but not the cancellation, the first caller's included", async () => {
    const { secret } = await fixture.mint();
    fixture.emulator.control.faults.add({ route: VERIFY, answer_latency_ms: 1_500 });
    const first = leavingCaller(secret);
    await until(() => fixture.verifyRequests() === 1);
    const stay = Array.from({ length: 100 }, () => fixture.tokens.verifyToken({ token: secret }));
    const others = Array.from({ length: 100 }, () => leavingCaller(secret));
    await until(async () => ((await fixture.gateway.getStatus({})).cache?.joined ?? 0n) >= 200n);
    const leaving = [first, ...others];
    for (const caller of leaving) caller.leave();

    expect(await Promise.all(leaving.map(({ outcome }) => outcome))).toEqual(Array.from({ length: 101 }, () => "left"));
    for (const answer of await Promise.all(stay)) {
      expect(answer).toMatchObject({ verdict: Verdict.VALID, source: Source.UPSTREAM });
    }
    expect(fixture.verifyRequests()).toBe(1);
  });

  it("give the upstream request up when the last caller has left, and cache nothing of it", async () => {
    const { secret } = await fixture.mint();
    fixture.emulator.control.faults.add({ route: VERIFY, hang: true, count: 1 });
    const callers = Array.from({ length: 10 }, () => leavingCaller(secret));
    await until(() => fixture.verifyRequests() === 1);
    for (const caller of callers) caller.leave();
    await Promise.all(callers.map(({ outcome }) => outcome));
    await until(() => fixture.emulator.control.requests.counts()[VERIFY]?.in_flight === 0);

    const next = await fixture.tokens.verifyToken({ token: secret });
    expect(next).toMatchObject({ verdict: Verdict.VALID, source: Source.UPSTREAM });
    expect(fixture.verifyRequests()).toBe(2);
  });
});
