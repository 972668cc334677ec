import { describe, expect, it } from "vitest";
import { ACK, DATA, END_STREAM, HEADERS, SETTINGS } from "../../src/http2/frame.ts";
import { ErrorCode } from "../../src/http2/protocol-error.ts";
import { pattern } from "./kit/call.ts";
import { startEngine } from "./kit/engine-fixture.ts";
import { data, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, request, settings, windowUpdate } from "./kit/frames.ts";
import { connectRaw, serverSettings } from "./kit/raw-client.ts";
import { TextLane } from "./kit/text-lane.ts";

const SIZE_UPDATE_TO_0 = 0x20;

describe("SETTINGS", () => {
  it("of the server say its limits first of all", async () => {
    await using engine = await startEngine({ limits: { maxConcurrentStreams: 7, maxHeaderListBytes: 999 } });
    using client = await connectRaw(engine.port);
    expect([...(await serverSettings(client))]).toEqual([
      [3, 7],
      [6, 999],
    ]);
    expect(client.frames[0]?.type).toBe(SETTINGS);
  });

  it("of the client are each acknowledged, in their order with answers", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(settings(), request(1, "/size/1"), settings({ 43981: 7 }));
    await client.roundTrip();
    const seen = client.frames.map(({ type, flags }) => (type === SETTINGS && flags === ACK ? "ack" : type));
    expect(seen.filter((type) => type === "ack" || type === HEADERS)).toEqual(["ack", "ack", HEADERS, HEADERS, "ack"]);
  });

  it("that shrink the initial window make windows negative, and answers wait until they are positive again", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 100 } });
    client.send(request(1, "/size/150"));
    await client.roundTrip();
    expect(client.body(1)).toHaveLength(100);

    client.send(settings({ [INITIAL_WINDOW_SIZE]: 10 }), windowUpdate(1, 90));
    await client.roundTrip();
    expect(client.body(1)).toHaveLength(100);

    client.send(windowUpdate(1, 1));
    await client.roundTrip();
    expect(client.body(1)).toHaveLength(101);

    client.send(settings({ [INITIAL_WINDOW_SIZE]: 1000 }));
    expect((await client.answer(1)).body).toEqual(pattern(150));
  });

  it("that grow a window beyond what windows may be end the connection", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 10 } });
    client.send(request(1, "/hold"), windowUpdate(1, 0x7fff_ffff - 10));
    await client.roundTrip();
    client.send(settings({ [INITIAL_WINDOW_SIZE]: 11 }));
    await client.goAway(ErrorCode.FLOW_CONTROL_ERROR);
    await client.closed;
  });

  it.each(["/size/5", "/lane"])(
    "with a smaller header table make the next block say that none is used: %s",
    async (path) => {
      await using engine = await startEngine({ lanes: [new TextLane()] });
      using client = await connectRaw(engine.port);
      client.send(request(1, path, false), data(1, "x", { end: true }));
      await client.answer(1);
      client.send(settings({ [HEADER_TABLE_SIZE]: 4096 }), request(3, path, false), data(3, "x", { end: true }));
      await client.answer(3);
      client.send(settings({ [HEADER_TABLE_SIZE]: 100 }), settings({ [HEADER_TABLE_SIZE]: 4096 }));
      client.send(request(5, path, false), data(5, "x", { end: true }));
      client.send(request(7, path, false), data(7, "x", { end: true }));
      const [before, after, later] = await Promise.all([client.answer(3), client.answer(5), client.answer(7)]);
      expect(after).toEqual(before);
      expect(later).toEqual(before);
      const first = (id: number) => client.ofStream(id).find(({ type }) => type === HEADERS)?.payload[0];
      expect([first(3), first(5), first(7)]).toEqual([first(3), SIZE_UPDATE_TO_0, first(3)]);
      const trailers = client.ofStream(5).filter(({ type }) => type === HEADERS)[1];
      expect(trailers?.payload[0]).not.toBe(SIZE_UPDATE_TO_0);
    },
  );

  it("with no window for streams hold back bodies and nothing else", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port, { settings: { [INITIAL_WINDOW_SIZE]: 0 } });
    client.send(request(1, "/size/5"), request(3, "/size/0"));
    expect((await client.answer(3)).headers[":status"]).toBe("200");
    expect(client.ofStream(1).map(({ type, flags }) => [type, flags & END_STREAM])).toEqual([[HEADERS, 0]]);
    client.send(windowUpdate(1, 5));
    expect((await client.answer(1)).body).toHaveLength(5);
    expect(client.ofStream(1).filter(({ type }) => type === DATA)).toHaveLength(1);
  });
});
