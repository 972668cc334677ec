import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GOAWAY, PING, RST_STREAM } from "../../src/http2/frame.ts";
import { ErrorCode } from "../../src/http2/protocol-error.ts";
import { pattern } from "./kit/call.ts";
import { type EngineFixture, startEngine } from "./kit/engine-fixture.ts";
import { data, ping, pingAck, request, windowUpdate } from "./kit/frames.ts";
import { connectRaw, type RawClient } from "./kit/raw-client.ts";

const LAST_POSSIBLE = 0x7fff_ffff;

async function announced(client: RawClient): Promise<Buffer> {
  const { payload } = await client.frame(({ type }) => type === PING);
  expect(client.frames.find(({ type }) => type === GOAWAY)?.payload.readUInt32BE(0)).toBe(LAST_POSSIBLE);
  return payload;
}

function goAways(client: RawClient): number[] {
  return client.frames.filter(({ type }) => type === GOAWAY).map(({ payload }) => payload.readUInt32BE(0));
}

async function isClosedByServer(engine: EngineFixture, client: RawClient): Promise<void> {
  if (!client.socket.readableEnded) await new Promise((resolve) => client.socket.once("end", resolve));
  client.socket.end();
  await engine.eventually(() => engine.engine.counts.connections === 0);
}

describe("a drain", () => {
  it("serves streams opened before the client could know, ignores later ones, and ends after the last", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"));
    await client.roundTrip();
    const before = client.frames.filter(({ type }) => type === PING).length;
    engine.engine.drain();
    const { payload } = await client.until(() => client.frames.filter(({ type }) => type === PING)[before]);
    client.send(request(3, "/size/3"));
    expect((await client.answer(3)).body).toHaveLength(3);

    client.send(pingAck(payload));
    await client.until(() => (goAways(client).length === 2 ? true : undefined));
    expect(goAways(client)).toEqual([LAST_POSSIBLE, 3]);
    client.send(request(5, "/size/3"), request(7, "/echo", false), data(7, "x", { end: true }));
    await client.roundTrip();
    expect(client.frames.filter(({ streamId, type }) => streamId >= 5 || type === RST_STREAM)).toEqual([]);
    expect(engine.calls).toHaveLength(2);

    engine.calls[0]?.answer(Buffer.from("held"));
    expect((await client.answer(1)).body.toString()).toBe("held");
    await isClosedByServer(engine, client);
  });

  it("ends at once, when the client knows, what is idle; and connections that come later", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    await client.frame(({ type }) => type === 4);
    engine.engine.drain();
    using late = await connectRaw(engine.port);
    for (const one of [client, late]) one.send(pingAck(await announced(one)));
    for (const one of [client, late]) await one.until(() => (goAways(one).length === 2 ? true : undefined));
    expect([goAways(client)[1], goAways(late)[1]]).toEqual([0, 0]);
    client.socket.end();
    late.socket.end();
    await engine.eventually(() => engine.engine.counts.connections === 0);
  });

  it("does not take back, when the connection fails, what it said it would look at", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"));
    engine.engine.drain();
    client.send(pingAck(await announced(client)));
    await client.until(() => (goAways(client).length === 2 ? true : undefined));
    client.send(request(9, "/hold"), windowUpdate(0, 0));
    expect((await client.goAway(ErrorCode.PROTOCOL_ERROR)).lastStreamId).toBe(1);
    await client.closed;
  });

  it("lets a client that reads slowly have the whole of the last answer", async () => {
    const size = 6_000_000;
    await using engine = await startEngine();
    using client = await connectRaw(engine.port, { settings: { 4: LAST_POSSIBLE } });
    client.send(windowUpdate(0, LAST_POSSIBLE - 65_535));
    await client.roundTrip();
    client.socket.pause();
    client.send(request(1, `/size/${size}`));
    await engine.eventually(() => engine.calls.length === 1);
    engine.engine.drain();
    client.socket.resume();
    const { payload } = await client.until(() => client.frames.filter(({ type }) => type === PING)[1]);
    client.send(pingAck(payload));
    expect((await client.answer(1)).body.equals(pattern(size))).toBe(true);
    await isClosedByServer(engine, client);
  });
});

describe("in time", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("a drain goes on without a client that does not answer the ping", async () => {
    await using engine = await startEngine({ limits: { drainTimeoutMs: 5000 } });
    using client = await connectRaw(engine.port);
    engine.engine.drain();
    await announced(client);
    vi.advanceTimersByTime(5000);
    await client.roundTrip();
    expect(goAways(client)).toHaveLength(1);
    vi.advanceTimersByTime(1000);
    await client.until(() => (goAways(client).length === 2 ? true : undefined));
    await isClosedByServer(engine, client);
  });

  it("a connection that was told to end is cut when the client does not close its end", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.socket.allowHalfOpen = true;
    client.send(windowUpdate(0, 0));
    await client.goAway(ErrorCode.PROTOCOL_ERROR);
    expect(engine.engine.counts.connections).toBe(1);
    vi.advanceTimersByTime(3000);
    await engine.eventually(() => engine.engine.counts.connections === 0);
  });

  it("a connection without SETTINGS is closed", async () => {
    await using engine = await startEngine({ limits: { settingsTimeoutMs: 4000 } });
    using client = await connectRaw(engine.port, { opening: Buffer.from("PRI * HTTP/2") });
    await engine.eventually(() => engine.sockets[0]?.bytesRead === 12);
    vi.advanceTimersByTime(5000);
    await client.goAway(ErrorCode.SETTINGS_TIMEOUT);
  });

  it.each([
    ["a frame", Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1])],
    ["a header block", Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83])],
  ])("a connection in the middle of %s is closed, though it goes on slowly", async (_what, half) => {
    await using engine = await startEngine({ limits: { requestTimeoutMs: 4000 } });
    using client = await connectRaw(engine.port);
    await client.roundTrip();
    const before = engine.sockets[0]?.bytesRead ?? 0;
    for (const [at, byte] of [...half].entries()) {
      client.send(Buffer.from([byte]));
      await engine.eventually(() => engine.sockets[0]?.bytesRead === before + at + 1);
    }
    vi.advanceTimersByTime(4000);
    expect(engine.engine.counts.connections).toBe(1);
    vi.advanceTimersByTime(1000);
    await client.goAway(ErrorCode.ENHANCE_YOUR_CALM);
  });

  it("a connection whose every chunk ends in the middle of a frame is not one that is slow", async () => {
    await using engine = await startEngine({ limits: { requestTimeoutMs: 4000 } });
    using client = await connectRaw(engine.port);
    await client.roundTrip();
    const bytes = Buffer.concat([
      request(1, "/echo", false),
      ...Array.from({ length: 20 }, () => data(1, "0123456789")),
    ]);
    let sent = engine.sockets[0]?.bytesRead ?? 0;
    const first = request(1, "/echo", false).length;
    for (let at = 0; at < bytes.length; ) {
      const to = at === 0 ? first + 5 : Math.min(at + 19, bytes.length);
      client.send(bytes.subarray(at, to));
      sent += to - at;
      at = to;
      await engine.eventually(() => engine.sockets[0]?.bytesRead === sent);
      vi.advanceTimersByTime(1000);
    }
    client.send(data(1, "", { end: true }));
    expect((await client.answer(1)).body).toHaveLength(200);
  });

  it("an idle connection is drained, counted from the end of its last stream", async () => {
    await using engine = await startEngine({ limits: { idleTimeoutMs: 10_000 } });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"));
    await client.roundTrip();
    vi.advanceTimersByTime(60_000);
    engine.calls[0]?.answer(Buffer.from("late"));
    await client.answer(1);
    vi.advanceTimersByTime(9000);
    client.send(request(3, "/size/1"));
    expect((await client.answer(3)).body).toHaveLength(1);
    vi.advanceTimersByTime(12_000);
    await announcedAgain(client);
    vi.advanceTimersByTime(2000);
    await isClosedByServer(engine, client);
  });

  async function announcedAgain(client: RawClient): Promise<void> {
    await client.until(() => (goAways(client).length > 0 ? true : undefined));
    expect(goAways(client)).toEqual([LAST_POSSIBLE]);
    client.send(ping("stillup!"));
    await client.frame(({ payload }) => payload.toString("latin1") === "stillup!");
  }
});
