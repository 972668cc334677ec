import { describe, expect, it } from "vitest";
import { END_HEADERS, END_STREAM, HEADERS, RST_STREAM } from "../../src/http2/frame.ts";
import { encodeFields } from "../../src/http2/hpack-encoder.ts";
import { ErrorCode } from "../../src/http2/protocol-error.ts";
import { startEngine } from "./kit/engine-fixture.ts";
import {
  continuation,
  data,
  frame,
  goAway,
  headers,
  opening,
  ping,
  priority,
  request,
  requestFields,
  settingsAck,
  windowUpdate,
} from "./kit/frames.ts";
import { connectRaw } from "./kit/raw-client.ts";

const ECHO = encodeFields(requestFields("/echo"));
const NOTHING = Buffer.alloc(0);

/** A connection's worth of frames of every kind, whose answers are known. */
const SESSION = Buffer.concat([
  opening({ 4: 100_000 }),
  settingsAck(),
  request(1, "/size/3"),
  headers(3, ECHO.subarray(0, 5), { endHeaders: false, padding: 7, dependsOn: 1 }),
  continuation(3, ECHO.subarray(5, 6), false),
  continuation(3, ECHO.subarray(6), true),
  data(3, "first ", { padding: 0 }),
  priority(9, 3),
  data(3, "second", { padding: 255, end: true }),
  windowUpdate(0, 1000),
  frame(0xfa, 0xff, 77, Buffer.from("unknown")),
  headers(5, ECHO),
  data(5, ""),
  data(5, "body"),
  headers(5, [["x-checksum", "1"]], { end: true }),
  ping("lastping"),
]);

async function play(chunks: readonly Buffer[]): Promise<string[]> {
  await using engine = await startEngine();
  using client = await connectRaw(engine.port, { opening: NOTHING });
  for (const chunk of chunks) {
    client.send(chunk);
    // Lets the chunk leave on its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.frame(({ type, payload }) => type === 6 && payload.toString() === "lastping");
  const answers = await Promise.all([1, 3, 5].map((id) => client.answer(id)));
  return answers.map(({ body, headers, trailers }) => JSON.stringify([body.toString("hex"), headers, trailers]));
}

describe("frames", () => {
  it("mean the same wherever the bytes are cut in two", async () => {
    const whole = await play([SESSION]);
    expect(whole[1]).toContain(Buffer.from("first second").toString("hex"));
    await using engine = await startEngine();
    for (let at = 1; at < SESSION.length; at++) {
      using client = await connectRaw(engine.port, { opening: SESSION.subarray(0, at) });
      await engine.eventually(() => (engine.sockets.at(-1)?.bytesRead ?? 0) === at);
      client.send(SESSION.subarray(at));
      const answers = await Promise.all([1, 3, 5].map((id) => client.answer(id)));
      const seen = answers.map(({ body, headers, trailers }) =>
        JSON.stringify([body.toString("hex"), headers, trailers]),
      );
      expect(seen, `cut at ${at}`).toEqual(whole);
    }
  });

  it("mean the same when they come byte by byte", async () => {
    expect(await play([...SESSION].map((byte) => Buffer.from([byte])))).toEqual(await play([SESSION]));
  });

  it("are served in any number in one chunk", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(...Array.from({ length: 500 }, (_, at) => request(2 * at + 1, "/size/10")));
    const answers = await Promise.all(Array.from({ length: 500 }, (_, at) => client.answer(2 * at + 1)));
    expect(answers.every(({ body }) => body.length === 10)).toBe(true);
  });

  it("of large answers' sections are split at the size that every client takes", async () => {
    const big = "v".repeat(40_000);
    await using engine = await startEngine({
      onCall: (call) => {
        call.stream.respond(
          encodeFields([
            [":status", "200"],
            ["x-big", big],
          ]),
          false,
        );
        call.stream.end(encodeFields([["x-big", big]]));
      },
    });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/"), ping());
    await client.roundTrip();
    const frames = client.ofStream(1);
    expect(frames.map(({ payload }) => payload.length <= 16_384)).toEqual(frames.map(() => true));
    const ends = frames.filter(({ flags }) => (flags & END_HEADERS) !== 0);
    expect(ends.map(({ fields }) => fields["x-big"]?.length)).toEqual([40_000, 40_000]);
    expect(frames.filter(({ type, flags }) => type === HEADERS && (flags & END_STREAM) !== 0)).toHaveLength(1);
    expect(engine.calls[0]?.overCount).toBe(1);
  });

  it("that are not a request's are ignored on streams that are over, and never answered on those to come", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(request(1, "/size/1"), priority(1, 5), windowUpdate(1, 5), goAway(), priority(99));
    await client.roundTrip();
    expect(client.frames.filter(({ type }) => type === RST_STREAM)).toEqual([]);
    client.send(priority(101, 101));
    expect(await client.goAway(ErrorCode.PROTOCOL_ERROR)).toMatchObject({ lastStreamId: 1 });
    expect(client.ofStream(101)).toEqual([]);
    await client.closed;
  });
});

describe("a connection error", () => {
  it.each([
    ["bytes that are no preface", [Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")], ErrorCode.PROTOCOL_ERROR],
    ["a first frame that is not SETTINGS", [opening().subarray(0, 24), ping()], ErrorCode.PROTOCOL_ERROR],
    ["a frame larger than announced", [opening(), frame(0, 0, 1, Buffer.alloc(16_385))], ErrorCode.FRAME_SIZE_ERROR],
    ["more padding than payload", [opening(), headers(1, ECHO), frame(0, 8, 1, Buffer.from([1]))], 1],
    ["padding without its length", [opening(), headers(1, ECHO), frame(0, 8, 1)], ErrorCode.FRAME_SIZE_ERROR],
    ["HEADERS too short for a priority", [opening(), frame(1, 0x24, 1, Buffer.alloc(4))], ErrorCode.FRAME_SIZE_ERROR],
    ["a stream in a header block of another", [opening(), headers(1, ECHO, { endHeaders: false }), ping()], 1],
    ["CONTINUATION without a block", [opening(), continuation(1, ECHO, true)], ErrorCode.PROTOCOL_ERROR],
    ["an even stream", [opening(), headers(2, ECHO)], ErrorCode.PROTOCOL_ERROR],
    ["DATA on an idle stream", [opening(), data(1, "x")], ErrorCode.PROTOCOL_ERROR],
    ["a push", [opening(), frame(5, 4, 1, Buffer.alloc(4))], ErrorCode.PROTOCOL_ERROR],
    ["a header block that cannot be read", [opening(), headers(1, Buffer.from([0xff, 0xff]))], 9],
    ["SETTINGS on a stream", [opening(), frame(4, 0, 1)], ErrorCode.PROTOCOL_ERROR],
    ["SETTINGS of a wrong size", [opening(), frame(4, 0, 0, Buffer.alloc(5))], ErrorCode.FRAME_SIZE_ERROR],
    ["a window that is too large", [opening({ 4: 0x8000_0000 })], ErrorCode.FLOW_CONTROL_ERROR],
  ])("by %s is named in GOAWAY, and the connection closed", async (_what, bytes, code) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port, { opening: NOTHING });
    client.send(...bytes);
    expect((await client.goAway(code)).code).toBe(code);
    await new Promise((resolve) => client.socket.once("end", resolve));
    client.socket.end();
    await engine.eventually(() => engine.engine.counts.connections === 0);
  });

  it("in the handler of a stream is told to the owner, and to the client as the server's", async () => {
    const problem = new Error("broken");
    await using engine = await startEngine({
      onStream: () => {
        throw problem;
      },
    });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/"));
    await client.goAway(ErrorCode.INTERNAL_ERROR);
    expect(engine.errors.splice(0)).toEqual([problem]);
    await client.closed;
  });
});
