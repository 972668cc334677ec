import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { envelopeOf, FrameReader } from "./envelope.ts";

const END = Uint8Array.of(2, 0, 0, 0, 2, 0x7b, 0x7d);

describe("a stream of the Connect protocol", () => {
  it("is read the same wherever its bytes were cut", () => {
    const messages = [{ cursor: "e.1-0" }, { heartbeat: {} }, { reason: "ß 🔑" }];
    const bytes = Uint8Array.from([...messages.flatMap((message) => [...envelopeOf(message)]), ...END]);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const reader = new FrameReader();
        const frames = places.slice(1).flatMap((end, at) => reader.push(bytes.subarray(places[at] ?? 0, end)));
        expect(frames.map(({ json }) => JSON.parse(json))).toEqual([...messages, {}]);
        expect(frames.map(({ isEnd }) => isEnd)).toEqual([false, false, false, true]);
      }),
    );
  });

  it.each([
    ["a compressed message", Uint8Array.of(1, 0, 0, 0, 0)],
    ["a length beyond all bounds", Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff)],
  ])("is not %s", (_what, bytes) => {
    expect(() => new FrameReader().push(bytes)).toThrow("not a stream of messages");
  });
});
