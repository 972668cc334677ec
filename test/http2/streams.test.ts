import { describe, expect, it } from "vitest";
import { RST_STREAM } from "../../src/http2/frame.ts";
import { encodeFields } from "../../src/http2/hpack-encoder.ts";
import { ErrorCode } from "../../src/http2/protocol-error.ts";
import { pattern, serve } from "./kit/call.ts";
import { startEngine } from "./kit/engine-fixture.ts";
import { data, headers, repeat, request, requestFields, reset, windowUpdate } from "./kit/frames.ts";
import { connectRaw } from "./kit/raw-client.ts";

const TRAILERS = headers(1, [["x-checksum", "1"]], { end: true });

describe("a stream", () => {
  it("may end its body with trailers", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/echo", false), data(1, "body"), TRAILERS);
    expect((await client.answer(1)).body.toString()).toBe("body");
  });

  it.each([
    ["do not end it", headers(1, [["x", "y"]])],
    ["have pseudo-fields", headers(1, [[":path", "/"]], { end: true })],
  ])("is reset by trailers that %s", async (_what, trailers) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/echo", false), data(1, "body"), trailers);
    expect((await client.answer(1)).reset).toBe(ErrorCode.PROTOCOL_ERROR);
  });

  it.each([
    ["that ended", request(1, "/hold"), true],
    ["that was answered", Buffer.concat([request(1, "/size/1")]), false],
  ])("%s is not written to by the client again: DATA", async (_what, opening, isOpen) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(opening, data(1, "late"));
    const { payload } = await client.frame(({ type }) => type === RST_STREAM);
    expect(payload.readUInt32BE(0)).toBe(ErrorCode.STREAM_CLOSED);
    expect(engine.calls[0]?.stream.isClosed).toBe(true);
    expect(engine.calls[0]?.stream.localEnded).toBe(!isOpen);
  });

  it("that the client ended has no trailers: that ends the connection", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/size/1"), TRAILERS);
    await client.goAway(ErrorCode.STREAM_CLOSED);
    await client.closed;
  });

  it("that the client reset is over, and nothing of it is sent any more", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(
      request(1, "/size/100000"),
      request(3, "/unread", false),
      data(3, "unread"),
      reset(1),
      reset(3),
      reset(3),
    );
    await client.roundTrip();
    expect(client.body(1)).toHaveLength(65_535);
    client.send(windowUpdate(0, 100_000), windowUpdate(1, 100_000));
    await client.roundTrip();
    expect(client.body(1)).toHaveLength(65_535);
    expect(engine.calls.map(({ overCount }) => overCount)).toEqual([1, 1]);
    expect(engine.engine.counts).toEqual({ connections: 1, streams: 0, unreadBytes: 0 });
  });

  it("that was reset here may be written to until the client knows, however many others were", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    const ids = Array.from({ length: 200 }, (_, at) => 2 * at + 1);
    client.send(...ids.map((id) => request(id, "/hold", false)));
    await client.roundTrip();
    for (const call of engine.calls) call.stream.reset(ErrorCode.CANCEL);
    client.send(...ids.map((id) => data(id, "late")), ...ids.map((id) => headers(id, [["x", "y"]], { end: true })));
    client.send(...ids.map((id) => windowUpdate(id, 1)), ...ids.map((id) => reset(id)));
    await client.roundTrip();
    expect(client.frames.filter(({ type }) => type === RST_STREAM)).toHaveLength(200);
    client.send(request(401, "/size/1"));
    expect((await client.answer(401)).body).toHaveLength(1);
  });

  it("whose rest is unwanted is ended, without an error, after its answer", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/early", false), data(1, "ignored"), data(1, "too", { end: true }));
    const answer = await client.answer(1);
    expect(answer.body.toString()).toBe("enough");
    const { payload } = await client.frame(({ type }) => type === RST_STREAM);
    expect(payload.readUInt32BE(0)).toBe(ErrorCode.NO_ERROR);
    await client.roundTrip();
    expect(client.frames.at(-2)?.type).toBe(RST_STREAM);
    expect(engine.calls[0]?.receivedBytes).toBe(0);
  });

  it("may be answered before its body is read, and is over when both have ended", async () => {
    await using engine = await startEngine({ onCall: (call) => call.answer(Buffer.from("first")) });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/", false), data(1, "more"));
    expect((await client.answer(1)).body.toString()).toBe("first");
    await client.roundTrip();
    expect(engine.calls[0]).toMatchObject({ overCount: 0, hasEnded: false });
    client.send(data(1, "last", { end: true }));
    await client.roundTrip();
    expect(engine.calls[0]).toMatchObject({ overCount: 1, hasEnded: true });
    expect(engine.calls[0]?.body.toString()).toBe("morelast");
  });

  it("that its handler ends at once hears nothing after its end", async () => {
    await using engine = await startEngine({ onCall: (call) => call.stream.reset(ErrorCode.REFUSED_STREAM) });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/"), request(3, "/", false), data(3, "x", { end: true }));
    expect([(await client.answer(1)).reset, (await client.answer(3)).reset]).toEqual([7, 7]);
    expect(engine.calls.map(({ hasEnded, overCount }) => [hasEnded, overCount])).toEqual([
      [false, 1],
      [false, 1],
    ]);
  });

  it("tells of room once what was written has left, and not while it waits", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/hold"));
    await client.roundTrip();
    const call = engine.calls[0];
    call?.begin();
    expect(call?.stream.write(pattern(65_535))).toBe(true);
    expect(call?.stream.write(pattern(65_000))).toBe(true);
    expect(call?.stream.write(pattern(65_000))).toBe(false);
    client.send(windowUpdate(0, 129_999), windowUpdate(1, 130_000));
    await client.roundTrip();
    expect(call?.writableCount).toBe(0);
    client.send(windowUpdate(0, 1));
    await client.roundTrip();
    expect(call?.writableCount).toBe(1);
  });
});

describe("a handler", () => {
  it("may write, end and reset streams from within any of its callbacks", async () => {
    const rounds = 2000;
    // More than may wait without a pause.
    const piece = pattern(65_537);
    await using engine = await startEngine({
      onCall: (call) => {
        serve(call);
        if (call.path !== "/rounds") return;
        let round = 0;
        call.whenWritable = () => {
          while (round++ < rounds) if (!call.stream.write(piece)) return;
          call.stream.end(encodeFields([["x", "y"]]));
        };
        call.whenEnded = () => {
          call.begin();
          call.whenWritable();
        };
        call.whenOver = () => {
          for (const other of engine.calls) if (other !== call) other.stream.reset(ErrorCode.CANCEL);
          call.stream.reset(ErrorCode.CANCEL);
          call.stream.consumed(10);
          call.stream.write(pattern(10));
          call.stream.end(undefined);
        };
      },
    });
    using client = await connectRaw(engine.port, { settings: { 4: 0x7fff_ffff } });
    client.send(windowUpdate(0, 0x7fff_0000 - 65_535), request(1, "/hold"), request(3, "/hold"), request(5, "/rounds"));
    let bytes = 0;
    await client.until(() => {
      const taken = client.frames.filter(({ streamId }) => streamId === 5);
      for (const { type, payload } of taken) if (type === 0) bytes += payload.length;
      const ended = taken.some(({ flags, type }) => type === 1 && (flags & 1) !== 0);
      if (!ended) client.frames.splice(0, client.frames.length, ...client.frames.filter(({ type }) => type > 1));
      return ended ? true : undefined;
    });
    expect(bytes).toBe(rounds * 65_537);
    await client.roundTrip();
    expect(client.frames.filter(({ type }) => type === RST_STREAM).map(({ streamId }) => streamId)).toEqual([1, 3]);
    expect(engine.engine.counts).toMatchObject({ streams: 0, unreadBytes: 0 });
  });

  it("may cut the engine from within a request, and is called no more for what followed it", async () => {
    await using engine = await startEngine({ onCall: () => engine.engine.destroy() });
    using client = await connectRaw(engine.port);
    client.send(repeat(5, (at) => request(2 * at + 1, "/")));
    await client.closed;
    await engine.eventually(() => engine.engine.counts.connections === 0);
    expect(engine.calls.every(({ overCount }) => overCount === 1)).toBe(true);
  });
});

describe("a request", () => {
  it.each([
    [
      "without a method",
      [
        [":scheme", "http"],
        [":path", "/"],
      ],
    ],
    [
      "without a path",
      [
        [":method", "GET"],
        [":scheme", "http"],
      ],
    ],
    ["with an unknown pseudo-field", requestFields("/", [[":status", "200"]])],
    ["with a pseudo-field after an ordinary one", [["x", "y"], ...requestFields("/")]],
    ["with a repeated pseudo-field", [[":path", "/a"], ...requestFields("/")]],
    ["with a name in upper case", requestFields("/", [["X-Upper", "1"]])],
    ["with a connection's field", requestFields("/", [["connection", "close"]])],
    ["with another te than trailers", requestFields("/", [["te", "gzip"]])],
    ["with a line break in a value", requestFields("/", [["x", "a\r\nb"]])],
    [
      "with two lengths",
      requestFields("/", [
        ["content-length", "1"],
        ["content-length", "2"],
      ]),
    ],
    ["with a length that is none", requestFields("/", [["content-length", "-1"]])],
  ] as const)("%s is malformed and never seen by a handler", async (_what, fields) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(headers(1, fields, { end: true }), request(3, "/size/1"));
    expect((await client.answer(1)).reset).toBe(ErrorCode.PROTOCOL_ERROR);
    expect((await client.answer(3)).body).toHaveLength(1);
    expect(engine.calls).toHaveLength(1);
  });

  it("is answered by one header section, which is final", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(headers(1, requestFields("/echo", [["expect", "100-continue"]])), data(1, "x", { end: true }));
    expect((await client.answer(1)).headers).toEqual({ ":status": "200" });
    expect(client.frames.map(({ fields }) => fields[":status"]).filter((status) => status !== undefined)).toEqual([
      "200",
    ]);
  });
});
