import { describe, expect, it } from "vitest";
import { HEADERS, RST_STREAM } from "../../src/http2/frame.ts";
import { startEngine } from "./kit/engine-fixture.ts";
import {
  data,
  headers,
  INITIAL_WINDOW_SIZE,
  repeat,
  request,
  requestFields,
  reset,
  windowUpdate,
} from "./kit/frames.ts";
import { connectRaw } from "./kit/raw-client.ts";
import { TextLane } from "./kit/text-lane.ts";

function laneCall(id: number, ...parts: readonly string[]): Buffer {
  const bodies = parts.map((part, at) => data(id, part, { end: at === parts.length - 1 }));
  return Buffer.concat([request(id, "/lane", false), ...bodies]);
}

describe("a lane", () => {
  it("answers all calls of one chunk in one write, and is told their number once", async () => {
    const lane = new TextLane();
    await using engine = await startEngine({ lanes: [lane] });
    using client = await connectRaw(engine.port);
    await client.roundTrip();
    const { chunks } = client;
    client.send(repeat(16, (at) => laneCall(2 * at + 1, `call ${at}`)));
    const answers = await Promise.all(Array.from({ length: 16 }, (_, at) => client.answer(2 * at + 1)));
    expect(answers.map(({ body }) => body.toString())).toEqual(answers.map((_, at) => `call ${at}!`));
    expect(answers[15]).toMatchObject({ headers: { ":status": "200" }, trailers: { "grpc-status": "0" } });
    expect(client.chunks).toBe(chunks + 1);
    expect(lane.told).toEqual([16]);
    expect(lane.admitted).toBe(1);
    expect(engine.calls).toEqual([]);
  });

  it("answers bodies that come in parts, with padding, or before their trailers", async () => {
    await using engine = await startEngine({ lanes: [new TextLane()] });
    using client = await connectRaw(engine.port);
    client.send(laneCall(1, "a", "", "b", ""));
    client.send(request(3, "/lane", false), data(3, "padded", { padding: 40, end: true }));
    client.send(request(5, "/lane", false), data(5, "x"), headers(5, [["x", "y"]], { end: true }));
    client.send(request(7, "/lane", false), headers(7, [["x", "y"]], { end: true }));
    const bodies = await Promise.all([1, 3, 5, 7].map(async (id) => (await client.answer(id)).body.toString()));
    expect(bodies).toEqual(["ab!", "padded!", "x!", "!"]);
    await client.roundTrip();
    expect(engine.engine.counts).toEqual({ connections: 1, streams: 0, unreadBytes: 0 });
  });

  it("leaves what it will not answer to the ordinary way, with the same bytes", async () => {
    const lane = new TextLane();
    await using engine = await startEngine({
      lanes: [lane],
      onCall: (call) => {
        call.whenEnded = () => call.answer(call.body);
      },
    });
    using client = await connectRaw(engine.port);
    client.send(laneCall(1, "no one"), laneCall(3, "no", " ", "two"), request(5, "/lane"));
    const large = Buffer.alloc(40_000, "large ");
    client.send(
      request(7, "/lane", false),
      data(7, large.subarray(0, 16_000)),
      data(7, large.subarray(16_000, 32_000)),
    );
    client.send(data(7, large.subarray(32_000, 39_000)), data(7, large.subarray(39_000), { end: true }));
    const bodies = await Promise.all([1, 3, 5].map(async (id) => (await client.answer(id)).body.toString()));
    expect(bodies).toEqual(["no one", "no two", ""]);
    expect((await client.answer(7)).body.equals(large)).toBe(true);
    expect(lane.told).toEqual([]);
    expect(engine.calls.map(({ path }) => path)).toEqual(["/lane", "/lane", "/lane", "/lane"]);
  });

  it("has its answers wait when the windows are too small, and counts them", async () => {
    const lane = new TextLane();
    await using engine = await startEngine({ lanes: [lane] });
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 3 } });
    client.send(laneCall(1, "abcdef"), laneCall(3, "x"));
    expect((await client.answer(3)).body.toString()).toBe("x!");
    expect(client.body(1).toString()).toBe("abc");
    client.send(windowUpdate(1, 100));
    expect((await client.answer(1)).body.toString()).toBe("abcdef!");
    expect(lane.told).toEqual([2]);
  });

  it("has its answers wait when the connection's window is used up", async () => {
    await using engine = await startEngine({ lanes: [new TextLane()] });
    using client = await connectRaw(engine.port);
    client.send(
      repeat(10, (at) =>
        laneCall(
          2 * at + 1,
          "100:0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789abcdef ",
        ),
      ),
    );
    await client.roundTrip();
    const bytes = () => Array.from({ length: 10 }, (_, at) => client.body(2 * at + 1).length).reduce((a, b) => a + b);
    expect(bytes()).toBe(65_535);
    client.send(windowUpdate(0, 100_000));
    const answers = await Promise.all(Array.from({ length: 10 }, (_, at) => client.answer(2 * at + 1)));
    expect(answers.map(({ body }) => body.length)).toEqual(answers.map(() => 8501));
  });

  it("fills many buffers from one chunk of calls, every byte right", async () => {
    await using engine = await startEngine({ lanes: [new TextLane()] });
    using client = await connectRaw(engine.port);
    client.send(windowUpdate(0, 10_000_000));
    client.send(repeat(200, (at) => laneCall(2 * at + 1, `150:${String(at).padStart(100, "-")}`)));
    const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => client.answer(2 * at + 1)));
    const expected = answers.map((_, at) => `${String(at).padStart(100, "-").repeat(150)}!`);
    expect(answers.map(({ body }) => body.toString())).toEqual(expected);
  });

  it("forgets a call that the client gave up, and refuses a body of another length than stated", async () => {
    await using engine = await startEngine({ lanes: [new TextLane()] });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/lane", false), data(1, "half"), reset(1));
    client.send(headers(3, requestFields("/lane", [["content-length", "3"]])), data(3, "four", { end: true }));
    client.send(headers(5, requestFields("/lane", [["content-length", "5"]])), data(5, "four", { end: true }));
    client.send(headers(7, requestFields("/lane", [["content-length", "4"]])), data(7, "four", { end: true }));
    expect((await client.answer(7)).body.toString()).toBe("four!");
    expect([(await client.answer(3)).reset, (await client.answer(5)).reset]).toEqual([1, 1]);
    expect(client.ofStream(1)).toEqual([]);
    expect(engine.engine.counts).toEqual({ connections: 1, streams: 0, unreadBytes: 0 });
    expect(client.frames.filter(({ type }) => type === RST_STREAM || type === HEADERS)).toHaveLength(4);
  });
});
