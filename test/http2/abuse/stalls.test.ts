import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ErrorCode } from "../../../src/http2/protocol-error.ts";
import { expectToServe, unsentBytes } from "../kit/abuse.ts";
import { startEngine } from "../kit/engine-fixture.ts";
import { data, INITIAL_WINDOW_SIZE, repeat, request, windowUpdate } from "../kit/frames.ts";
import { connectRaw, type RawClient } from "../kit/raw-client.ts";
import { TextLane } from "../kit/text-lane.ts";

const LIMITS = { stallTimeoutMs: 5000, requestTimeoutMs: 5000, idleTimeoutMs: 3_600_000 };

describe("in time", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("streams whose windows are never opened are reset", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0 } });
    client.send(repeat(10, (at) => request(2 * at + 1, "/size/100")));
    await client.roundTrip();
    vi.advanceTimersByTime(5000);
    expect(engine.engine.counts.streams).toBe(10);
    vi.advanceTimersByTime(1000);
    expect(engine.engine.counts.streams).toBe(0);
    expect((await client.answer(1)).reset).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    await expectToServe(engine);
  });

  it("streams whose windows are opened a byte at a time are reset", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 1 } });
    client.send(request(1, "/size/1000"));
    for (let second = 0; second < 7; second++) {
      client.send(windowUpdate(1, 1));
      await client.roundTrip();
      vi.advanceTimersByTime(1000);
    }
    expect((await client.answer(1)).reset).toBe(ErrorCode.ENHANCE_YOUR_CALM);
  });

  it("a stream whose answer goes on is reset all the same when none of it can leave", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 4 } });
    client.send(request(1, "/hold"));
    await client.roundTrip();
    engine.calls[0]?.begin();
    for (let second = 0; second < 7; second++) {
      engine.calls[0]?.stream.write(Buffer.from("event"));
      vi.advanceTimersByTime(1000);
    }
    expect((await client.answer(1)).reset).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    expect(engine.engine.counts.streams).toBe(0);
  });

  it("a stream that is quiet, or whose reader keeps up, is left alone", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"), request(3, "/hold"));
    await client.roundTrip();
    engine.calls[0]?.begin();
    for (let second = 0; second < 30; second++) {
      engine.calls[0]?.stream.write(Buffer.alloc(20_000));
      await client.until(() => (client.body(1).length === 20_000 * (second + 1) ? true : undefined));
      client.send(windowUpdate(0, 20_000), windowUpdate(1, 20_000));
      await client.roundTrip();
      vi.advanceTimersByTime(1000);
    }
    expect(engine.engine.counts.streams).toBe(2);
  });

  it("a lane's call whose body does not come is given up", async () => {
    await using engine = await startEngine({ lanes: [new TextLane()], limits: LIMITS });
    using client = await connectRaw(engine.port);
    client.send(repeat(20, (at) => Buffer.concat([request(2 * at + 1, "/lane", false), data(2 * at + 1, "half")])));
    await client.roundTrip();
    expect(engine.engine.counts).toMatchObject({ streams: 20, unreadBytes: 80 });
    vi.advanceTimersByTime(7000);
    expect(engine.engine.counts).toMatchObject({ streams: 0, unreadBytes: 0 });
    expect((await client.answer(39)).reset).toBe(ErrorCode.CANCEL);
  });

  it("a client that never reads is cut, and others are not", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0x7fff_ffff } });
    client.send(windowUpdate(0, 0x7fff_0000));
    await client.roundTrip();
    client.socket.pause();
    client.send(repeat(5, (at) => request(2 * at + 1, "/size/10000000")));
    await engine.eventually(() => unsentBytes(engine) > 100_000);
    using other = await connectRaw(engine.port);
    await other.roundTrip();
    vi.advanceTimersByTime(7000);
    await engine.eventually(() => engine.engine.counts.connections === 1);
    await other.roundTrip();
  });

  it("a client that reads all the time is not cut, though as much waits for it whenever one looks", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0x7fff_ffff } });
    client.send(windowUpdate(0, 0x7fff_0000), request(1, "/size/50000000"));
    const socket = await new Promise<(typeof engine.sockets)[number] | undefined>((resolve) => {
      void engine.eventually(() => unsentBytes(engine) > 128 * 1024).then(() => resolve(engine.sockets[0]));
    });
    let looked = 0;
    // Each time that the kernel has taken everything and as much waits again.
    socket?.on("drain", () => {
      looked += 1;
      vi.advanceTimersByTime(1000);
    });
    expect((await client.answer(1)).body).toHaveLength(50_000_000);
    expect(looked).toBeGreaterThan(10);
  });
});

describe("clients that never read", () => {
  it("in numbers, asking for much, hold no more than their limit each", async () => {
    const clients: RawClient[] = [];
    await using engine = await startEngine();
    const request20 = repeat(20, (at) => request(2 * at + 1, "/size/1000000"));
    for (let at = 0; at < 100; at++) {
      const client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0x7fff_ffff } });
      client.socket.pause();
      client.send(windowUpdate(0, 0x7fff_0000), request20);
      clients.push(client);
    }
    await engine.eventually(() => engine.calls.length === 2000);
    for (const socket of engine.sockets) expect(socket.writableLength).toBeLessThan(200_000);
    await expectToServe(engine);
    for (const client of clients) client.socket.destroy();
    await engine.eventually(() => engine.engine.counts.connections === 0);
    expect(engine.engine.counts).toMatchObject({ streams: 0, unreadBytes: 0 });
  });

  it("and go on asking a lane are not listened to any more", async () => {
    const lane = new TextLane();
    await using engine = await startEngine({ lanes: [lane] });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0x7fff_ffff } });
    client.send(windowUpdate(0, 0x7fff_0000));
    await client.roundTrip();
    client.socket.pause();
    const isBlocked = () => engine.sockets[0]?.isPaused() === true;
    let id = -1;
    const call = () => {
      id += 2;
      return Buffer.concat([request(id, "/lane", false), data(id, "3000:wxyz", { end: true })]);
    };
    while (!isBlocked()) {
      client.send(repeat(100, call));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const before = [...lane.told];
    client.send(repeat(100, call));
    await expectToServe(engine);
    expect(lane.told).toEqual(before);
    expect(unsentBytes(engine)).toBeLessThan(256 * 1024 + 500 * 12_100);
    client.socket.resume();
    expect((await client.answer(id)).body).toHaveLength(12_001);
  });
});

describe("connections that ask nothing", () => {
  it("in numbers leave the server serving, and nothing when they go", async () => {
    await using engine = await startEngine();
    const clients: RawClient[] = [];
    for (let at = 0; at < 1000; at++) clients.push(await connectRaw(engine.port));
    await Promise.all(clients.map((client) => client.roundTrip()));
    expect(engine.engine.counts.connections).toBe(1000);
    await expectToServe(engine);
    for (const client of clients) client.socket.destroy();
    await engine.eventually(() => engine.engine.counts.connections === 0);
  });

  it("and end their side are closed, with what was on them", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"), request(3, "/size/100"));
    await client.answer(3);
    client.socket.end();
    await client.closed;
    await engine.eventually(() => engine.engine.counts.connections === 0);
    expect(engine.calls[0]?.overCount).toBe(1);
  });
});
