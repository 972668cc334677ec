import { describe, expect, it } from "vitest";
import { DATA, PING } from "../../../src/http2/frame.ts";
import { expectToBeCutOff, expectToServe, unsentBytes } from "../kit/abuse.ts";
import { pattern } from "../kit/call.ts";
import { startEngine } from "../kit/engine-fixture.ts";
import {
  data,
  frame,
  goAway,
  ping,
  priority,
  repeat,
  request,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from "../kit/frames.ts";
import { connectRaw } from "../kit/raw-client.ts";

const LIMITS = { overheadBurst: 1000, overheadPerSecond: 0 };
const TOO_MANY = "too many frames that ask for nothing";

describe("a flood", () => {
  it.each([
    ["SETTINGS", settings()],
    ["acknowledged SETTINGS", settingsAck()],
    ["PING", ping()],
    ["answered PING", frame(PING, 1, 0, Buffer.alloc(8))],
    ["empty DATA", data(1, "")],
    ["DATA of padding", data(1, "", { padding: 100 })],
    ["WINDOW_UPDATE of the connection", windowUpdate(0, 1)],
    ["WINDOW_UPDATE of a stream", windowUpdate(1, 1)],
    ["WINDOW_UPDATE of a stream that is over", windowUpdate(3, 1)],
    ["RST_STREAM of a stream that is over", reset(3)],
    ["PRIORITY", priority(999)],
    ["GOAWAY", goAway()],
    ["unknown frames", frame(0xee, 0, 0)],
  ])("of %s costs the connection", async (_what, bytes) => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/unread", false), request(3, "/size/0"));
    await client.roundTrip();
    client.send(repeat(1200, () => bytes));
    await expectToBeCutOff(engine, client, TOO_MANY);
  });

  it("of DATA for streams that were reset costs the connection", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    client.send(request(1, "/early", false));
    await client.answer(1);
    client.send(repeat(1200, () => data(1, "x")));
    await expectToBeCutOff(engine, client, TOO_MANY);
  });

  it("of PING by a client that reads no answers is not read on", async () => {
    await using engine = await startEngine({ limits: { overheadBurst: 10_000_000 } });
    using client = await connectRaw(engine.port);
    await client.roundTrip();
    client.socket.pause();
    const many = repeat(4000, () => ping());
    const isBlocked = () => engine.sockets[0]?.isPaused() === true;
    for (let at = 0; at < 1000 && !isBlocked(); at++) {
      client.send(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await engine.eventually(isBlocked);
    expect(unsentBytes(engine)).toBeLessThan(256 * 1024 + 2 * 64 * 1024);
    await expectToServe(engine);
    client.socket.resume();
    await client.roundTrip();
  });

  it("of bytes that mean nothing ends, at the latest, with its sender", async () => {
    await using engine = await startEngine();
    for (let seed = 1; seed <= 50; seed++) {
      const garbage = Buffer.from(pattern(3000).map((byte, at) => (byte * seed + at * seed) & 0xff));
      using client = await connectRaw(engine.port);
      client.send(garbage);
      client.socket.end();
      await client.closed;
    }
    await expectToServe(engine);
  });

  it("is not what a busy client does that credits a window and pings with every frame of its answer", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port, { settings: { 4: 0x7fff_ffff } });
    client.send(request(1, "/hold"));
    await client.roundTrip();
    const call = engine.calls[0];
    call?.begin();
    for (let round = 0; round < 3000; round++) {
      call?.stream.write(Buffer.from("an event"));
      client.send(windowUpdate(0, 8), ping());
      if (round % 100 === 0) await client.until(() => (client.body(1).length >= 8 * round ? true : undefined));
    }
    await client.until(() => (client.body(1).length === 24_000 ? true : undefined));
    expect(engine.engine.counts.streams).toBe(1);
  });

  it("is not what a busy client does that credits a window and pings with every call", async () => {
    await using engine = await startEngine({ limits: LIMITS });
    using client = await connectRaw(engine.port);
    for (let round = 0; round < 30; round++) {
      const call = (at: number) => {
        const id = 2 * (100 * round + at) + 1;
        return Buffer.concat([request(id, "/size/0"), windowUpdate(0, 1), ping(), windowUpdate(id, 1)]);
      };
      client.send(repeat(100, call));
      await client.roundTrip();
    }
    expect(engine.calls).toHaveLength(3000);
  });

  it("of bodies in single bytes costs no more time or memory than the bytes do", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(
      request(1, "/echo", false),
      repeat(60_000, () => data(1, "x")),
      data(1, "", { end: true }),
    );
    expect((await client.answer(1)).body).toHaveLength(60_000);
    expect(client.frames.some(({ type }) => type === DATA)).toBe(true);
  });
});
