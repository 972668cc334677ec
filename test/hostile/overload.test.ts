import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { eventually, failureOf, type Hostile, startHostile } from "../support/hostile-fixture.ts";

let hostile: Hostile;
beforeAll(async () => {
  hostile = await startHostile({ env: { GATEWAY_MAX_WATCHERS: "2", GATEWAY_MAX_IN_FLIGHT: "8" } });
});
afterAll(() => hostile[Symbol.asyncDispose]());

async function metric(name: string): Promise<number | undefined> {
  const text = await (await fetch(`${hostile.gateway.adminUrl}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`m2m_gateway_${name} `));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ")));
}

describe("a gateway with as much to do as it may", () => {
  it("refuses one watcher more in any protocol, counts it, and takes another once one has gone", async () => {
    const controllers = [new AbortController(), new AbortController()];
    const last = new AbortController();
    const open = controllers.map(({ signal }) => {
      const stream = hostile.clients.revocations.watchRevocations({}, { signal });
      return stream[Symbol.asyncIterator]();
    });
    for (const stream of open) await stream.next();
    expect(await metric("watchers")).toBe(2);
    for (const protocol of ["grpc", "grpcWeb", "connect", "connectH1"] as const) {
      const stream = hostile.on(protocol).revocations.watchRevocations({})[Symbol.asyncIterator]();
      expect(await failureOf(stream.next())).toMatchObject({
        code: "ResourceExhausted",
        reason: "OVERLOADED",
        metadata: { limit: "watchers" },
      });
    }
    expect(await metric('refused_total{limit="watchers"}')).toBe(4);
    controllers[0]?.abort();
    await eventually(async () => (await metric("watchers")) === 1);
    const after = hostile.on("connect").revocations.watchRevocations({}, { signal: last.signal });
    open.push(after[Symbol.asyncIterator]());
    expect((await open[2]?.next())?.done).toBe(false);
    for (const controller of [...controllers, last]) controller.abort();
    await Promise.allSettled(open.map((stream) => stream.next()));
    await eventually(async () => (await metric("in_flight")) === 0);
  });

  it("refuses unknown tokens beyond its bound, answers what memory knows, revokes, and recovers", async () => {
    const { clients, emulator } = hostile;
    const [known, doomed] = [await hostile.mint(), await hostile.mint()];
    await clients.tokens.verifyToken({ token: known.secret });
    emulator.control.faults.add({ route: "m2m_tokens.verify", hang: true });
    const controller = new AbortController();
    const ask = () => clients.tokens.verifyToken({ token: madeUp() }, { signal: controller.signal });
    const waiting = Promise.allSettled(Array.from({ length: 6 }, ask));
    // All have come as far as Clerk: before that the one to come counts against them too.
    await eventually(async () => (await metric("upstream_in_flight")) === 6);
    expect(await failureOf(ask())).toMatchObject({ code: "ResourceExhausted", metadata: { limit: "in_flight" } });
    for (const protocol of ["grpc", "grpcWeb", "connect", "connectH1"] as const) {
      const answer = await hostile.on(protocol).tokens.verifyToken({ token: known.secret });
      expect([answer.verdict, answer.source]).toEqual([Verdict.VALID, Source.MEMORY]);
    }
    await clients.tokens.revokeToken({ target: { case: "tokenId", value: doomed.id } });
    emulator.control.faults.clear();
    controller.abort();
    await waiting;
    await eventually(async () => (await metric("in_flight")) === 0 && (await metric("pending_bytes")) === 0);
    await hostile.assertAlive();
  });
});

let made = 0;

function madeUp(): string {
  made += 1;
  return `mt_${String(made).padStart(48, "x")}`;
}
