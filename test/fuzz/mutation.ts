import fc from "fast-check";
import { FrameCutter, frame, HEAD_BYTES, MAX_FRAME } from "./wire.ts";

/** What is done to the frames of a conversation, or to their bytes. Places are in thousandths. */
export type Mutation =
  | { readonly do: "drop"; readonly at: number }
  | { readonly do: "repeat" | "move" | "swap"; readonly at: number; readonly to: number }
  | {
      readonly do: "insert";
      readonly at: number;
      readonly type: number;
      readonly flags: number;
      readonly stream: number;
      readonly payload: Uint8Array;
    }
  | { readonly do: "flipHead"; readonly at: number; readonly bit: number }
  | { readonly do: "flip"; readonly at: number; readonly bit: number }
  | { readonly do: "remove"; readonly at: number; readonly count: number }
  | { readonly do: "add"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly do: "truncate"; readonly at: number };

const place = fc.nat(999);

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ do: fc.constant("drop" as const), at: place }),
  fc.record({ do: fc.constantFrom("repeat" as const, "move" as const, "swap" as const), at: place, to: place }),
  fc.record({
    do: fc.constant("insert" as const),
    at: place,
    type: fc.nat(10),
    flags: fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 0x20), fc.nat(255)),
    stream: fc.nat(14),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 4, maxLength: 5 }),
      fc.constant(new Uint8Array(8)),
    ),
  }),
  fc.record({ do: fc.constant("flipHead" as const), at: place, bit: fc.nat(8 * HEAD_BYTES - 1) }),
  fc.record({ do: fc.constant("flip" as const), at: place, bit: fc.nat(7) }),
  fc.record({ do: fc.constant("remove" as const), at: place, count: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ do: fc.constant("add" as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
  fc.record({ do: fc.constant("truncate" as const), at: place }),
);

/** The bytes of the frames after all mutations. */
export function mutated(frames: readonly Buffer[], mutations: readonly Mutation[]): Buffer {
  let list: Buffer[] = [...frames];
  for (const each of mutations) list = frameMutated(list, each);
  let bytes: Buffer = Buffer.concat(list);
  for (const each of mutations) bytes = byteMutated(bytes, each);
  return bytes;
}

function frameMutated(frames: Buffer[], mutation: Mutation): Buffer[] {
  const at = Math.floor((mutation.at * frames.length) / 1000);
  const one = frames[at];
  if (one === undefined) return frames;
  switch (mutation.do) {
    case "drop":
      return frames.toSpliced(at, 1);
    case "insert":
      return frames.toSpliced(at, 0, frame(mutation.type, mutation.flags, mutation.stream, mutation.payload));
    case "repeat":
      return frames.toSpliced(scaled(mutation.to, frames.length), 0, one);
    case "move":
      return frames.toSpliced(at, 1).toSpliced(scaled(mutation.to, frames.length), 0, one);
    case "swap": {
      const to = scaled(mutation.to, frames.length);
      return frames.with(at, frames[to] ?? one).with(to, one);
    }
    case "flipHead":
      return frames.with(at, flipped(one, mutation.bit >> 3, mutation.bit & 7));
    default:
      return frames;
  }
}

function byteMutated(bytes: Buffer, mutation: Mutation): Buffer {
  const at = scaled(mutation.at, bytes.length);
  switch (mutation.do) {
    case "flip":
      return flipped(bytes, at, mutation.bit);
    case "remove":
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + mutation.count)]);
    case "add":
      return Buffer.concat([bytes.subarray(0, at), mutation.bytes, bytes.subarray(at)]);
    case "truncate":
      return bytes.subarray(0, at);
    default:
      return bytes;
  }
}

/**
 * The bytes with zeros to the end of the last frame, so that what is sent after them is a frame of its own; but not of a
 * frame that is too large.
 */
export function completed(bytes: Buffer): Buffer {
  let all: Buffer = bytes;
  for (;;) {
    const cutter = new FrameCutter();
    cutter.push(all);
    if (cutter.missing === 0 || cutter.missing > MAX_FRAME) return all;
    all = Buffer.concat([all, Buffer.alloc(cutter.missing)]);
  }
}

/** The bytes cut into chunks, of one byte each where they are cut everywhere. */
export function chunked(bytes: Buffer, cuts: readonly number[] | "everywhere"): Buffer[] {
  if (cuts === "everywhere") return Array.from(bytes, (byte) => Buffer.from([byte]));
  const places = cuts.map((each) => scaled(each, bytes.length)).sort((a, b) => a - b);
  return [0, ...places]
    .map((from, at) => bytes.subarray(from, places[at] ?? bytes.length))
    .filter(({ length }) => length > 0);
}

function scaled(thousandths: number, length: number): number {
  return Math.floor((thousandths * length) / 1000);
}

function flipped(bytes: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  if (at < copy.length) copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at);
  return copy;
}
