import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connectErrorFrom, reasonOf } from "./connect-error.ts";
import { MessageSplitter } from "./message-splitter.ts";
import { envelope } from "./plain-grpc.ts";

const MAX_BYTES = 20_000;

describe("MessageSplitter", () => {
  it("gives the messages that were put in, however they are cut", () => {
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 5_000, maxLength: MAX_BYTES }),
    );
    const border = fc.oneof(fc.nat(), fc.nat({ max: 60 }));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(border, { maxLength: 40 }), (messages, borders) => {
        const bytes = Buffer.concat(messages.map(envelope));
        expect(split(bytes, borders)).toEqual({ messages: messages.map(hexOf), isMidway: false });
      }),
    );
  });

  it("gives them also when they come byte by byte, one after another", () => {
    const messages = Array.from({ length: 50 }, (_, n) => Buffer.alloc(n * 7, n));
    const bytes = Buffer.concat(messages.map(envelope));
    const all = split(bytes, [...bytes.keys()]);
    expect(all).toEqual({ messages: messages.map(hexOf), isMidway: false });
  });

  it("knows that it is in the middle of a message", () => {
    const bytes = envelope(Buffer.from("abc"));
    for (let length = 1; length < bytes.length; length += 1) {
      expect(split(bytes.subarray(0, length), [])).toEqual({ messages: [], isMidway: true });
    }
  });

  it.each([
    ["a message that is too long, by its head alone", [0, 0, 0, 0x4e, 0x21], "MESSAGE_TOO_LARGE"],
    ["a message of 4 GiB", [0, 0xff, 0xff, 0xff, 0xff], "MESSAGE_TOO_LARGE"],
    ["a compressed message", [1, 0, 0, 0, 1, 9], "MALFORMED_REQUEST"],
  ])("refuses %s, in one piece and in several", (_what, bytes, reason) => {
    for (const borders of [[], [1], [1, 2, 3, 4, 5]]) {
      const error = failureOf(() => split(Buffer.from(bytes), borders));
      expect(error).toBeInstanceOf(ConnectError);
      expect(reasonOf(connectErrorFrom(error))).toBe(reason);
    }
  });
});

/** Reads out of larger buffers, which change after each call. */
function split(bytes: Buffer, borders: readonly number[]) {
  const messages: string[] = [];
  const splitter = new MessageSplitter(MAX_BYTES, (source, from, to) =>
    messages.push(hexOf(source.subarray(from, to))),
  );
  const places = [...new Set([0, ...borders.map((border) => border % (bytes.length + 1)), bytes.length])];
  places.sort((a, b) => a - b);
  for (const [index, from] of places.slice(0, -1).entries()) {
    const chunk = Buffer.concat([Buffer.from("before"), bytes.subarray(from, places[index + 1]), Buffer.from("after")]);
    const end = chunk.length - "after".length;
    for (let at = "before".length; at < end; ) at = splitter.read(chunk, at, end);
    chunk.fill(0xee);
  }
  return { messages, isMidway: splitter.isMidway };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function failureOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
