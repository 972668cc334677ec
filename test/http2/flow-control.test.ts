import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DATA, HEADERS } from "../../src/http2/frame.ts";
import { ErrorCode } from "../../src/http2/protocol-error.ts";
import { pattern } from "./kit/call.ts";
import { startEngine } from "./kit/engine-fixture.ts";
import {
  data,
  headers,
  INITIAL_WINDOW_SIZE,
  repeat,
  request,
  requestFields,
  settings,
  windowUpdate,
} from "./kit/frames.ts";
import { connectRaw, type RawClient } from "./kit/raw-client.ts";

/** A step of a client: `stream` is an index, -1 the connection; a step of `initial` changes the initial window. */
const STEP = fc.oneof(
  fc.record({ stream: fc.integer({ min: -1, max: 4 }), bytes: fc.integer({ min: 1, max: 60_000 }) }),
  fc.record({ initial: fc.integer({ min: 0, max: 50_000 }) }),
);

/** What the client allows, by its own books. */
class Books {
  readonly client: RawClient;
  readonly sizes: readonly number[];
  connection = 65_535;
  initial = 65_535;
  readonly granted: number[];
  /** The most that each stream was ever allowed. */
  readonly peaks: number[];

  constructor(client: RawClient, sizes: readonly number[]) {
    this.client = client;
    this.sizes = sizes;
    this.granted = sizes.map(() => 0);
    this.peaks = sizes.map(() => 65_535);
  }

  note(): void {
    for (const [at, granted] of this.granted.entries()) {
      this.peaks[at] = Math.max(this.peaks[at] ?? 0, this.initial + granted);
    }
  }

  check(): void {
    const received = this.sizes.map((_, at) => this.client.body(2 * at + 1).length);
    const total = received.reduce((sum, bytes) => sum + bytes, 0);
    expect(total).toBeLessThanOrEqual(this.connection);
    for (const [at, bytes] of received.entries()) {
      const allowed = this.initial + (this.granted[at] ?? 0);
      expect(bytes).toBeLessThanOrEqual(this.peaks[at] ?? 0);
      expect(bytes).toBeLessThanOrEqual(this.sizes[at] ?? 0);
      const isHeldBack = bytes < (this.sizes[at] ?? 0) && total < this.connection;
      if (isHeldBack) expect(allowed - bytes, `stream ${at} is held back for no reason`).toBeLessThanOrEqual(0);
    }
  }
}

describe("what the server sends", () => {
  it("fits the windows, and uses them, whatever the client does with them", async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 120_000 }), { minLength: 5, maxLength: 5 });
    await using engine = await startEngine();
    const property = fc.asyncProperty(sizes, fc.array(STEP, { maxLength: 25 }), async (sizes, steps) => {
      using client = await connectRaw(engine.port);
      const books = new Books(client, sizes);
      client.send(...sizes.map((size, at) => request(2 * at + 1, `/size/${size}`)));
      for (const step of steps) {
        await client.roundTrip();
        books.check();
        if ("initial" in step) {
          client.send(settings({ [INITIAL_WINDOW_SIZE]: step.initial }));
          books.initial = step.initial;
        } else if (step.stream === -1) {
          client.send(windowUpdate(0, step.bytes));
          books.connection += step.bytes;
        } else {
          client.send(windowUpdate(2 * step.stream + 1, step.bytes));
          books.granted[step.stream] = (books.granted[step.stream] ?? 0) + step.bytes;
        }
        books.note();
      }
      await client.roundTrip();
      books.check();
      client.send(windowUpdate(0, 10_000_000), settings({ [INITIAL_WINDOW_SIZE]: 10_000_000 }));
      for (const [at, size] of sizes.entries()) {
        expect((await client.answer(2 * at + 1)).body.equals(pattern(size))).toBe(true);
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it("goes to each stream in turn, a frame at a time", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 1_000_000 } });
    client.send(repeat(4, (at) => request(2 * at + 1, "/size/300000")));
    await client.roundTrip();
    client.send(windowUpdate(0, 12 * 16_384));
    await client.roundTrip();
    const turns = client.frames.filter(({ type }) => type === DATA).map(({ streamId }) => streamId);
    const lasts = turns.slice(-12);
    expect([...new Set(lasts.slice(0, 4))].sort()).toEqual([1, 3, 5, 7]);
    expect(lasts.slice(4)).toEqual(lasts.slice(0, 8));
  });

  it("ends an answer without waiting for a window that only bodies need", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/size/65535"), request(3, "/size/10"), request(5, "/size/0"));
    expect((await client.answer(5)).trailers).toEqual({ "grpc-status": "0" });
    await client.roundTrip();
    expect(client.ofStream(3).map(({ type }) => type)).toEqual([HEADERS]);
  });

  it("is cut off where a stream's window grows too large, and only there", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"), request(3, "/hold"), windowUpdate(1, 0x7fff_ffff), windowUpdate(3, 0));
    const resets = [(await client.answer(1)).reset, (await client.answer(3)).reset];
    expect(resets).toEqual([ErrorCode.FLOW_CONTROL_ERROR, ErrorCode.PROTOCOL_ERROR]);
    client.send(request(5, "/size/5"));
    expect((await client.answer(5)).body).toHaveLength(5);
  });

  it.each([
    [0x7fff_ffff, ErrorCode.FLOW_CONTROL_ERROR],
    [0, ErrorCode.PROTOCOL_ERROR],
  ])("ends with the connection when its window is credited %d", async (increment, code) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(windowUpdate(0, increment));
    await client.goAway(code);
    await client.closed;
  });
});

describe("room for a body", () => {
  it("is given back as the body is read, and not before", async () => {
    await using engine = await startEngine({ limits: { receiveWindowBytes: 65_535 } });
    using client = await connectRaw(engine.port);
    client.send(
      request(1, "/unread", false),
      repeat(4, () => data(1, Buffer.alloc(16_000))),
    );
    await client.roundTrip();
    expect([client.credited(0), client.credited(1)]).toEqual([0, 0]);
    expect(engine.engine.counts.unreadBytes).toBe(64_000);

    engine.calls[0]?.stream.consumed(10_000);
    await client.roundTrip();
    expect([client.credited(0), client.credited(1)]).toEqual([0, 0]);
    engine.calls[0]?.stream.consumed(30_000);
    await client.roundTrip();
    expect([client.credited(0), client.credited(1)]).toEqual([40_000, 40_000]);
    expect(engine.engine.counts.unreadBytes).toBe(24_000);
    engine.calls[0]?.stream.consumed(1_000_000);
    expect(engine.engine.counts.unreadBytes).toBe(0);
  });

  it("that padding took is given back at once", async () => {
    await using engine = await startEngine({ limits: { receiveWindowBytes: 65_535 } });
    using client = await connectRaw(engine.port);
    client.send(
      request(1, "/unread", false),
      repeat(200, () => data(1, "x", { padding: 255 })),
    );
    await client.roundTrip();
    expect(client.credited(1)).toBeGreaterThan(30_000);
    expect(client.credited(0)).toBe(client.credited(1));
    expect(engine.engine.counts.unreadBytes).toBe(200);
  });

  it("lets a body of any size through, to a handler that reads", async () => {
    await using engine = await startEngine({ limits: { receiveWindowBytes: 65_535 } });
    using client = await connectRaw(engine.port);
    client.send(windowUpdate(0, 2_000_000), request(1, "/echo", false));
    client.send(windowUpdate(1, 2_000_000));
    const body = pattern(1_000_000);
    for (let at = 0; at < body.length; ) {
      const part = body.subarray(at, at + Math.min(16_384, 65_535 + client.credited(1) - at));
      if (part.length === 0) await client.roundTrip();
      else client.send(data(1, part, { end: at + part.length === body.length }));
      at += part.length;
    }
    expect((await client.answer(1)).body.equals(body)).toBe(true);
  });

  it("of a stream or connection that ends unread is given back", async () => {
    await using engine = await startEngine({ limits: { receiveWindowBytes: 65_535 } });
    using client = await connectRaw(engine.port);
    client.send(
      request(1, "/unread", false),
      repeat(4, () => data(1, Buffer.alloc(16_000))),
    );
    await client.roundTrip();
    engine.calls[0]?.stream.reset(ErrorCode.CANCEL);
    await client.roundTrip();
    expect(client.credited(0)).toBe(64_000);
    client.send(data(1, Buffer.alloc(16_000)), request(3, "/unread", false), data(3, Buffer.alloc(16_000)));
    await client.roundTrip();
    client.socket.destroy();
    await engine.eventually(() => engine.engine.counts.connections === 0);
    expect(engine.engine.counts.unreadBytes).toBe(0);
  });

  it("is bounded for all connections together, with a frame left to each", async () => {
    const limits = { maxUnreadBytes: 100_000 };
    await using engine = await startEngine({ limits });
    using hoarder = await connectRaw(engine.port);
    hoarder.send(...[1, 3, 5].map((id) => request(id, "/unread", false)));
    hoarder.send(...[1, 3, 5].map((id) => repeat(3, () => data(id, Buffer.alloc(16_000)))));
    await hoarder.roundTrip();
    expect((await hoarder.answer(5)).reset).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    using other = await connectRaw(engine.port);
    other.send(request(1, "/echo", false), data(1, "small", { end: true }));
    expect((await other.answer(1)).body.toString()).toBe("small");
    expect(engine.engine.counts.unreadBytes).toBeLessThanOrEqual(116_384);
  });

  it.each([
    ["shorter", "10", "nine char"],
    ["longer", "3", "four"],
  ])("ends with the stream when the body is %s than its content-length", async (_what, length, body) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(headers(1, requestFields("/echo", [["content-length", length]])), data(1, body, { end: true }));
    expect((await client.answer(1)).reset).toBe(ErrorCode.PROTOCOL_ERROR);
    expect(engine.calls[0]).toMatchObject({ hasEnded: false, overCount: 1 });
  });
});
