import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DATA } from "../../src/http2/frame.ts";
import { makeCertificate } from "../support/certificates.ts";
import { pattern } from "./kit/call.ts";
import { type EngineFixture, startEngine } from "./kit/engine-fixture.ts";
import { data, ping, repeat, request, windowUpdate } from "./kit/frames.ts";
import { connectRaw, type RawClient } from "./kit/raw-client.ts";
import { TextLane } from "./kit/text-lane.ts";

const MAX = 0x7fff_ffff;
const certificate = makeCertificate();

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe.each([
  ["TCP", undefined],
  ["TLS", certificate],
] as const)("over %s", (_name, tls) => {
  async function start(lanes: TextLane[] = []): Promise<{ engine: EngineFixture; client: RawClient }> {
    const engine = await startEngine({ lanes, ...(tls === undefined ? {} : { tls }) });
    const client = await connectRaw(engine.port, {
      settings: { 4: MAX },
      ...(tls === undefined ? {} : { ca: tls.cert }),
    });
    client.send(windowUpdate(0, MAX - 65_535));
    await client.roundTrip();
    return { engine, client };
  }

  it("answers larger than any buffer arrive whole, of many streams at once", async () => {
    const { engine, client } = await start();
    await using _ = engine;
    using _client = client;
    const sizes = [1, 16_383, 16_384, 16_385, 32_768, 65_536, 300_000, 2_000_000];
    client.send(...sizes.map((size, at) => request(2 * at + 1, `/size/${size}`)));
    const answers = await Promise.all(sizes.map((_, at) => client.answer(2 * at + 1)));
    expect(answers.map(({ body }) => sha256(body))).toEqual(sizes.map((size) => sha256(pattern(size))));
  });

  it("a reader that stops and goes on misses nothing, nor do others that share its buffers", async () => {
    const { engine, client: slow } = await start([new TextLane()]);
    await using _ = engine;
    using _slow = slow;
    using fast = await connectRaw(engine.port, tls === undefined ? {} : { ca: tls.cert });
    const lanes = 400;
    const call = (at: number) =>
      Buffer.concat([
        request(2 * at + 1, "/lane", false),
        data(2 * at + 1, `150:${String(at).padStart(100)}`, { end: true }),
      ]);
    slow.socket.pause();
    slow.send(...Array.from({ length: lanes }, (_, at) => call(at)));
    slow.send(request(2 * lanes + 1, "/size/20000000"), ping("slowping"));
    await engine.eventually(() => (engine.sockets[0]?.writableLength ?? 0) > 50_000);
    for (let at = 0; at < 50; at++) {
      fast.send(call(2 * at), request(4 * at + 3, "/size/1000"));
      expect((await fast.answer(4 * at + 1)).body.toString()).toBe(
        `${String(2 * at)
          .padStart(100)
          .repeat(150)}!`,
      );
      expect((await fast.answer(4 * at + 3)).body.equals(pattern(1000))).toBe(true);
      fast.send(windowUpdate(0, 16_101));
    }
    slow.socket.resume();
    const answers = await Promise.all(Array.from({ length: lanes }, (_, at) => slow.answer(2 * at + 1)));
    expect(answers.map(({ body }) => body.toString())).toEqual(
      answers.map((_, at) => `${String(at).padStart(100).repeat(150)}!`),
    );
    expect(sha256((await slow.answer(2 * lanes + 1)).body)).toBe(sha256(pattern(20_000_000)));
  });

  it("what waits for a reader stays below the limit, and frames stay within a size that all take", async () => {
    const { engine, client } = await start();
    await using _ = engine;
    using _client = client;
    client.socket.pause();
    client.send(...Array.from({ length: 20 }, (_, at) => request(2 * at + 1, "/size/3000000")));
    await engine.eventually(() => engine.calls.length === 20 && (engine.sockets[0]?.writableLength ?? 0) > 100_000);
    expect(engine.sockets[0]?.writableLength).toBeLessThan(200_000);
    client.socket.resume();
    for (let at = 0; at < 20; at++) {
      expect(sha256((await client.answer(2 * at + 1)).body)).toBe(sha256(pattern(3_000_000)));
    }
    expect(client.frames.filter(({ type, payload }) => type === DATA && payload.length > 16_384)).toEqual([]);
  });

  it("a connection that is cut while much waits leaves nothing behind", async () => {
    const { engine, client } = await start();
    await using _ = engine;
    client.socket.pause();
    client.send(repeat(20, (at) => request(2 * at + 1, "/size/3000000")));
    await engine.eventually(() => (engine.sockets[0]?.writableLength ?? 0) > 100_000);
    client.socket.destroy();
    await engine.eventually(() => engine.engine.counts.connections === 0);
    using next = await connectRaw(engine.port, tls === undefined ? {} : { ca: tls.cert });
    next.send(request(1, "/size/60000"));
    expect(sha256((await next.answer(1)).body)).toBe(sha256(pattern(60_000)));
  });
});
