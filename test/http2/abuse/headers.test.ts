import { describe, expect, it } from "vitest";
import { encodeFields } from "../../../src/http2/hpack-encoder.ts";
import { ErrorCode } from "../../../src/http2/protocol-error.ts";
import { expectToBeCutOff, expectToServe } from "../kit/abuse.ts";
import { startEngine } from "../kit/engine-fixture.ts";
import { continuation, data, headers, repeat, request, requestFields } from "../kit/frames.ts";
import { connectRaw } from "../kit/raw-client.ts";

const TOO_LARGE = "the header block is too large";

describe("a header block without end (CVE-2024-27316)", () => {
  it.each([
    ["of many frames", 1, 1000],
    ["of empty frames", 0, 1000],
    ["of large frames", 16_000, 10],
  ])("%s costs the connection before much of it is kept", async (_what, bytes, count) => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(headers(1, Buffer.alloc(1, 0x83), { endHeaders: false }));
    client.send(repeat(count, () => continuation(1, Buffer.alloc(bytes), false)));
    await expectToBeCutOff(engine, client, TOO_LARGE);
  });
});

describe("header sections that are too large", () => {
  it("are answered so, and the connection goes on with its tables in step", async () => {
    await using engine = await startEngine({ limits: { maxHeaderListBytes: 2000 } });
    using client = await connectRaw(engine.port);
    // Kept in the table by the section that is refused: x: 800 times "v".
    const value = Buffer.alloc(800, "v");
    const kept = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x05]), value]);
    const fields = encodeFields(requestFields("/size/1"));
    client.send(headers(1, Buffer.concat([fields, kept, Buffer.from([0xbe, 0xbe])]), { end: true }));
    client.send(headers(3, Buffer.concat([fields, kept, Buffer.from([0xbe, 0xbe])])), data(3, "unread"));
    client.send(headers(5, Buffer.concat([fields, Buffer.from([0xbe])]), { end: true }));
    const [first, second, third] = await Promise.all([client.answer(1), client.answer(3), client.answer(5)]);
    expect([first.headers[":status"], second.headers[":status"]]).toEqual(["431", "431"]);
    expect(third.body).toHaveLength(1);
    expect(engine.calls[0]?.stream.head.fields).toEqual([{ name: "x", value: value.toString(), size: 833 }]);
    await client.roundTrip();
    expect(client.ofStream(3).at(-1)?.payload.readUInt32BE(0)).toBe(ErrorCode.NO_ERROR);
    expect(engine.engine.counts.streams).toBe(0);
  });

  it("cost what they weigh and not what they would unfold to", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    const fields = encodeFields(requestFields("/size/1"));
    const bomb = Buffer.concat([fields, Buffer.from([0x40, 1, 0x78, 0x7f, 0x81, 0x1e]), Buffer.alloc(3968, "v")]);
    client.send(headers(1, bomb, { end: true }));
    // Each asks for 12,000 fields of 4 KiB: 48 MB.
    const references = Buffer.concat([fields, Buffer.alloc(12_000, 0xbe)]);
    client.send(repeat(200, (at) => headers(2 * at + 3, references, { end: true })));
    const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => client.answer(2 * at + 3)));
    expect(new Set(answers.map((answer) => answer.headers[":status"]))).toEqual(new Set(["431"]));
    expect(engine.calls).toHaveLength(1);
    await expectToServe(engine);
  });
});

describe("a client that goes on", () => {
  it("with headers that are too large loses its connection", async () => {
    await using engine = await startEngine({ limits: { resetBurst: 40, resetsPerSecond: 0 } });
    using client = await connectRaw(engine.port);
    const large = Buffer.concat([
      encodeFields(requestFields("/size/1")),
      Buffer.from([0x40, 1, 0x78, 0x7f, 0x81, 0x1e]),
    ]);
    client.send(headers(1, Buffer.concat([large, Buffer.alloc(3968, "v")]), { end: true }));
    const references = Buffer.concat([encodeFields(requestFields("/size/1")), Buffer.alloc(100, 0xbe)]);
    client.send(repeat(100, (at) => headers(2 * at + 3, references, { end: true })));
    await expectToBeCutOff(engine, client, "too many headers too large");
    expect(client.frames.filter(({ fields }) => fields[":status"] === "431")).toHaveLength(11);
  });

  it("sending after it was told to stop is cut before it has sent more than the kernels hold", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(headers(1, Buffer.alloc(1, 0x83), { endHeaders: false }), data(3, "not a CONTINUATION"));
    const more = Buffer.alloc(256 * 1024);
    let sent = 0;
    const pour = () => {
      while (!client.socket.destroyed && client.socket.write(more)) sent += more.length;
    };
    client.socket.on("drain", pour);
    pour();
    await client.closed;
    expect(engine.engine.counts.connections).toBe(0);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    await expectToServe(engine);
  });
});

describe("more streams than allowed", () => {
  it("are refused, to be tried again, and start nothing", async () => {
    await using engine = await startEngine({ limits: { maxConcurrentStreams: 10 } });
    using client = await connectRaw(engine.port);
    client.send(repeat(1000, (at) => request(2 * at + 1, "/hold")));
    await client.roundTrip();
    expect(engine.calls).toHaveLength(10);
    expect(engine.engine.counts.streams).toBe(10);
    expect((await client.answer(1999)).reset).toBe(ErrorCode.REFUSED_STREAM);
    await expectToServe(engine);
  });

  it("of all connections together leave each a few, and are counted", async () => {
    await using engine = await startEngine({ limits: { maxStreams: 100 } });
    using hoarder = await connectRaw(engine.port);
    hoarder.send(repeat(500, (at) => request(2 * at + 1, "/hold")));
    await hoarder.roundTrip();
    expect(engine.engine.counts.streams).toBe(100);
    using modest = await connectRaw(engine.port);
    modest.send(repeat(50, (at) => request(2 * at + 1, "/hold")));
    await modest.roundTrip();
    expect(engine.engine.counts.streams).toBe(116);
    expect(engine.engine.refusedStreams).toBe(434);
    hoarder.socket.destroy();
    await engine.eventually(() => engine.engine.counts.streams === 16);
    modest.send(repeat(50, (at) => request(2 * at + 101, "/hold")));
    await modest.roundTrip();
    expect(engine.engine.counts.streams).toBe(66);
  });
});
