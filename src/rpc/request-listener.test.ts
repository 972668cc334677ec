import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { describe, expect, it } from "vitest";
import { admissionWith } from "../../test/support/admission.ts";
import { Peer } from "../callers/peer.ts";
import { observeEnds } from "./call-observer.ts";
import { CallQueue } from "./call-queue.ts";
import type { CallReport } from "./call-report.ts";
import { connectErrorFrom } from "./connect-error.ts";
import type { Exchange } from "./exchange.ts";
import { createRequestListener } from "./request-listener.ts";

const PEER = new Peer({ isLocal: true, address: "", names: undefined });
const PATH = "/test.v1.TestService/Test";

/** A request to the one RPC there is. It takes its answer and keeps nothing of it. */
function exchangeOf(closed: () => boolean): Exchange {
  const headers = new Headers({ "content-type": "application/grpc" });
  return {
    peer: PEER,
    httpVersion: "2.0",
    method: "POST",
    target: PATH,
    header: (name) => headers.get(name) ?? undefined,
    headers: () => headers,
    read: async () => undefined,
    discardRest() {},
    writeHead() {},
    write: async () => true,
    end() {},
    destroy() {},
    onClose() {},
    whenOver: (listener) => listener(),
    get isClosed() {
      return closed();
    },
  };
}

function start() {
  const admission = admissionWith({ maxInFlight: 16 });
  const reports: CallReport[] = [];
  const served: string[] = [];
  const handler = Object.assign(
    async () => {
      served.push(PATH);
      return { status: 200, header: new Headers(), body: (async function* () {})() };
    },
    {
      requestPath: PATH,
      service: { typeName: "test.v1.TestService" },
      method: { name: "Test", methodKind: "unary" },
    },
  ) as unknown as UniversalHandler;
  const listener = createRequestListener({
    handlers: [handler],
    observe: observeEnds((report) => reports.push(report)),
    presentError: connectErrorFrom,
    directs: [],
    maxMessageBytes: 65_536,
    bodyTimeoutMs: 1000,
    admission,
    queue: new CallQueue(),
  });
  return { admission, reports, served, listener };
}

describe("a call that waits to begin", () => {
  it("has its place, and keeps the server until it has been served", async () => {
    const { admission, reports, served, listener } = start();
    for (let at = 0; at < 3; at++) listener.handle(exchangeOf(() => false));
    expect([admission.inFlight, served.length]).toEqual([3, 0]);
    listener.drain();
    await listener.settled();
    expect([admission.inFlight, served.length]).toEqual([0, 3]);
    expect(reports).toHaveLength(3);
  });

  it("is counted as canceled and not served when its caller has left by then", async () => {
    const { admission, reports, served, listener } = start();
    let isClosed = false;
    listener.handle(exchangeOf(() => isClosed));
    isClosed = true;
    await listener.settled();
    expect([admission.inFlight, served.length]).toEqual([0, 0]);
    expect(reports.map(({ code, reason }) => [code, reason])).toEqual([["CANCELLED", "CANCELED"]]);
  });

  it("is refused where there is no place for it", async () => {
    const { admission, reports, listener } = start();
    for (let at = 0; at < 15; at++) listener.handle(exchangeOf(() => false));
    expect(admission.refused.in_flight).toBe(1);
    expect(reports.map(({ code }) => code)).toEqual(["RESOURCE_EXHAUSTED"]);
    await listener.settled();
    expect(admission.inFlight).toBe(0);
  });
});
