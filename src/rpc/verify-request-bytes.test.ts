import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VerifyTokenStreamRequestSchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { visibleText } from "../token/visible-text.ts";
import { idIn, PlainStreamRequestReader } from "./verify-request-bytes.ts";
import { writeId } from "./verify-stream-answers.ts";

const SCHEMA = VerifyTokenStreamRequestSchema;
const id = fc.oneof(
  fc.constantFrom(0n, 1n, 127n, 128n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const visible = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) });

describe("PlainStreamRequestReader", () => {
  it("reads every plain request with its id, wherever it lies", () => {
    fc.assert(
      fc.property(
        id,
        visible.filter((token) => token !== ""),
        (id, token) => {
          expect(read(toBinary(SCHEMA, create(SCHEMA, { id, request: { token } })))).toEqual({ id, token });
        },
      ),
    );
  });

  it.each([1, 127, 128, 16_000, 16_379])("reads a token of %d characters", (length) => {
    const token = "x".repeat(length);
    expect(read(toBinary(SCHEMA, create(SCHEMA, { id: 5n, request: { token } })))?.token).toBe(token);
  });

  it.each([16_384, 16_390, 40_000])("leaves a token of %d characters to others", (length) => {
    const request = { token: "x".repeat(length) };
    expect(read(toBinary(SCHEMA, create(SCHEMA, { id: 5n, request })))).toBeUndefined();
  });

  it("reads nothing into other bytes that is not in them", () => {
    const plain = toBinary(SCHEMA, create(SCHEMA, { id: 300n, request: { token: "mt_abc" } }));
    const edit = fc.record({ at: fc.nat({ max: plain.length - 1 }), byte: fc.nat({ max: 255 }) });
    const edited = fc.array(edit, { maxLength: 3 }).map((edits) => {
      const bytes = Uint8Array.from(plain);
      for (const { at, byte } of edits) bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(edited, fc.uint8Array({ maxLength: 30 })), (bytes) => {
        const seen = read(bytes);
        if (seen === undefined) return;
        const message = fromBinary(SCHEMA, bytes);
        expect(message.id).toBe(seen.id);
        expect(message.request?.token).toBe(seen.token);
        const again = create(SCHEMA, { id: seen.id, request: { token: seen.token } });
        expect(message.$unknown).toBeUndefined();
        expect(toBinary(SCHEMA, message)).toEqual(toBinary(SCHEMA, again));
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ["an id of 0 that is given", [0x08, 0, 0x12, 3, 0x0a, 1, 0x61]],
    ["an id in more bytes than it needs", [0x08, 0x81, 0, 0x12, 3, 0x0a, 1, 0x61]],
    ["an id of more than 64 bits", [0x08, ...Array<number>(9).fill(0xff), 2, 0x12, 3, 0x0a, 1, 0x61]],
    ["an id without an end", [0x08, ...Array<number>(12).fill(0xff), 0x12, 3, 0x0a, 1, 0x61]],
    ["an id alone", [0x08, 1]],
    ["a request without a token", [0x08, 1, 0x12, 0]],
    ["an empty token", [0x08, 1, 0x12, 2, 0x0a, 0]],
    ["a request with something else", [0x08, 1, 0x12, 5, 0x0a, 1, 0x61, 0x12, 0]],
    ["something behind the request", [0x08, 1, 0x12, 3, 0x0a, 1, 0x61, 0x08, 1]],
    ["nothing", []],
    ["a control character", [0x08, 1, 0x12, 3, 0x0a, 1, 0x0a]],
  ])("leaves %s to others", (_what, bytes) => {
    expect(read(Uint8Array.from(bytes))).toBeUndefined();
  });
});

describe("writeId", () => {
  it("writes what the reader of ids reads, as a serializer would", () => {
    fc.assert(
      fc.property(id, (id) => {
        const target = Buffer.alloc(11);
        const length = writeId(target, id);
        expect(idIn(target, 0, length)).toBe(id);
        expect(target.subarray(0, length)).toEqual(Buffer.from(toBinary(SCHEMA, create(SCHEMA, { id }))));
      }),
    );
  });
});

/** Reads out of the middle of a larger buffer. */
function read(message: Uint8Array): { id: bigint; token: string } | undefined {
  const around = Buffer.from([0x08, 0x80, 0x12]);
  const bytes = Buffer.concat([around, message, around]);
  const reader = new PlainStreamRequestReader();
  const end = around.length + message.length;
  const tokenAt = reader.read(bytes, around.length, end);
  const token = tokenAt === 0 ? undefined : visibleText(bytes, tokenAt, end);
  return token === undefined ? undefined : { id: idIn(bytes, reader.idFrom, reader.idTo), token };
}
