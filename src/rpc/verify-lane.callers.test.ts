import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { endOf } from "../../test/rpc/callers-fixture.ts";
import { startFakeGateway } from "../../test/rpc/fake-gateway.ts";
import { createDomain, verifyRequest } from "../../test/support/domain.ts";
import { secretOf, token } from "../../test/support/tokens.ts";
import { createCallerKey, fingerprintOf } from "../callers/caller-key.ts";
import { Callers } from "../callers/callers.ts";
import { parseCallersFile } from "../callers/callers-file.ts";
import { createPeers } from "../callers/peer.ts";
import { Source, TokenService, Verdict } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { Guard } from "./guard.ts";
import { createVerifyLane } from "./verify-lane.ts";
import { createVerifyToken } from "./verify-token.ts";

const KEY = createCallerKey();
const SECRET = secretOf(1);

function entriesOf(more: object = {}) {
  const caller = { name: "app", roles: ["verify"], keys: [fingerprintOf(KEY)], ...more };
  return parseCallersFile(JSON.stringify({ callers: [caller] }));
}

/** A server whose lane counts what it answers, on a domain that knows a token. */
async function startLane(more: object = {}) {
  const domain = await createDomain();
  const asked = domain.verifier.verify(verifyRequest(SECRET));
  domain.upstream.nextVerify().resolve(token(1));
  await asked;
  const callers = new Callers({ clock: domain.clock, entries: entriesOf(more), demandsLocal: true });
  const access = { guard: new Guard(callers), peerOf: createPeers(true) };
  const dependencies = { ...domain, isDegraded: () => false, maxMessageBytes: 64 * 1024 };
  const counts = { lane: 0 };
  const onAnswered = (count: number) => {
    counts.lane += count;
  };
  const lane = createVerifyLane({ ...dependencies, access, onAnswered });
  const gateway = await startFakeGateway({
    routes: (router) => {
      router.service(TokenService, { verifyToken: createVerifyToken(dependencies) });
    },
    options: { transport: "engine", access, lanes: { unary: [lane], streams: [] } },
  });
  const sessions = new Http2SessionManager(gateway.server.url);
  const transport = createGrpcTransport({ baseUrl: gateway.server.url, sessionManager: sessions });
  const client = createClient(TokenService, transport);
  const verify = (key: string) =>
    client.verifyToken({ token: SECRET }, { headers: { authorization: `Bearer ${key}` } });
  return {
    ...{ counts, callers, verify, reports: gateway.reports },
    async [Symbol.asyncDispose]() {
      sessions.abort();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

describe("the lane of VerifyToken, callers told apart", () => {
  it("answers those who may verify, from memory, and nobody else", async () => {
    await using served = await startLane();
    for (let call = 1; call <= 5; call += 1) {
      const { verdict, source } = await served.verify(KEY);
      expect([verdict, source]).toEqual([Verdict.VALID, Source.MEMORY]);
    }
    expect([served.counts.lane, served.reports.length]).toEqual([5, 0]);
    expect(await endOf(served.verify(createCallerKey()))).toBe("Unauthenticated CALLER_UNAUTHENTICATED");
    expect([served.counts.lane, served.reports.length]).toEqual([5, 1]);
  });

  it("notices a change of the callers with the next call of a connection", async () => {
    await using served = await startLane();
    await served.verify(KEY);
    served.callers.replace(entriesOf({ roles: ["mint"] }));
    expect(await endOf(served.verify(KEY))).toBe("PermissionDenied CALLER_FORBIDDEN");
    served.callers.replace([]);
    expect(await endOf(served.verify(KEY))).toBe("Unauthenticated CALLER_UNAUTHENTICATED");
    served.callers.replace(entriesOf());
    expect((await served.verify(KEY)).verdict).toBe(Verdict.VALID);
    expect(served.counts.lane).toBe(2);
  });

  it("confines its answers to the caller's subjects", async () => {
    await using served = await startLane({ subjects: [`mch_${"z".repeat(27)}`] });
    const { verdict, token: seen, source } = await served.verify(KEY);
    expect([verdict, seen, source]).toEqual([Verdict.NOT_GRANTED, undefined, Source.MEMORY]);
    expect(served.counts.lane).toBe(1);
  });

  it("counts calls against the caller's rate once, wherever they are answered", async () => {
    await using served = await startLane({ limits: { requestsPerSecond: 0.001, burst: 3 } });
    for (let call = 0; call < 3; call += 1) await served.verify(KEY);
    expect(await endOf(served.verify(KEY))).toBe("ResourceExhausted CALLER_RATE_LIMITED");
    expect(served.counts.lane).toBe(3);
    expect(served.callers.uses().find(({ name }) => name === "app")).toEqual({ name: "app", admitted: 3, inFlight: 0 });
  });
});
