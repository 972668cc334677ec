import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ErrorCode } from "../../../src/http2/protocol-error.ts";
import { expectToBeCutOff, expectToServe } from "../kit/abuse.ts";
import { startEngine } from "../kit/engine-fixture.ts";
import { data, headers, priority, repeat, request, requestFields, reset, windowUpdate } from "../kit/frames.ts";
import { connectRaw } from "../kit/raw-client.ts";

const LIMITS = { resetBurst: 100, resetsPerSecond: 0 };
const TOO_MANY = "too many streams reset";
const TRAILERS = [["x", "y"]] as const;

describe("streams reset as soon as they are opened (CVE-2023-44487)", () => {
  it("cost the connection, before many handlers were started", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    client.send(repeat(10_000, (at) => Buffer.concat([request(2 * at + 1, "/hold"), reset(2 * at + 1)])));
    await engine.eventually(() => engine.calls.length > 100);
    await expectToBeCutOff(engine, client, TOO_MANY);
    expect(engine.calls.length).toBeLessThan(115);
  });
});

describe("streams that the client has the server reset (CVE-2025-8671)", () => {
  it.each([
    ["a window update of nothing", (id: number) => windowUpdate(id, 0)],
    ["a window that is too large", (id: number) => windowUpdate(id, 0x7fff_ffff)],
    ["a stream that depends on itself", (id: number) => priority(id, id)],
    ["trailers that do not end the body", (id: number) => headers(id, TRAILERS)],
    ["more body than was announced", (id: number) => data(id, "too much")],
    ["more body than the window", (id: number) => repeat(5, () => data(id, Buffer.alloc(16_384)))],
  ])("cost the connection: %s", async (_what, fault) => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    const open = (id: number) =>
      headers(id, requestFields("/unread", _what.includes("announced") ? [["content-length", "3"]] : []));
    client.send(repeat(300, (at) => Buffer.concat([open(2 * at + 1), fault(2 * at + 1)])));
    await engine.eventually(() => engine.calls.length > 100);
    await expectToBeCutOff(engine, client, TOO_MANY);
    expect(engine.calls.length).toBeLessThan(115);
  });

  it("cost the connection: bodies after their end", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    client.send(repeat(300, (at) => Buffer.concat([request(2 * at + 1, "/hold"), data(2 * at + 1, "x")])));
    await engine.eventually(() => engine.calls.length > 100);
    await expectToBeCutOff(engine, client, TOO_MANY);
  });
});

describe("calls that are given up", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("after a while, 500 a second for minutes, are no abuse by the default limits", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    let id = 1;
    for (let tenth = 0; tenth < 1200; tenth++) {
      const ids = Array.from({ length: 50 }, () => (id += 2));
      client.send(...ids.map((one) => request(one, "/hold")));
      await client.roundTrip();
      vi.advanceTimersByTime(100);
      client.send(...ids.map((one) => reset(one)));
    }
    await client.roundTrip();
    expect(engine.calls).toHaveLength(60_000);
    expect(engine.engine.counts.streams).toBe(0);
  });

  it("at once, one in eleven, are no abuse; nor is one that has its answer", async () => {
    await using engine = await startEngine({ limits: { resetBurst: 10, resetsPerSecond: 0 } });
    using client = await connectRaw(engine.port);
    for (let round = 0; round < 100; round++) {
      const first = 100 * round + 1;
      client.send(...Array.from({ length: 11 }, (_, at) => request(first + 2 * at, "/size/1")));
      client.send(request(first + 30, "/hold"), reset(first + 30));
      client.send(request(first + 32, "/early", false), reset(first + 32));
      await client.roundTrip();
    }
    await expectToServe(engine);
  });

  it("and let be over, leave the client its other calls", async () => {
    await using engine = await startEngine({ limits: { maxConcurrentStreams: 5 } });
    using client = await connectRaw(engine.port);
    client.send(repeat(20, (at) => request(2 * at + 1, "/hold")));
    await client.roundTrip();
    expect(engine.calls).toHaveLength(5);
    expect((await client.answer(11)).reset).toBe(ErrorCode.REFUSED_STREAM);
    client.send(reset(1), request(101, "/size/1"));
    expect((await client.answer(101)).body).toHaveLength(1);
  });
});
