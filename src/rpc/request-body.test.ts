import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { admissionWith } from "../../test/support/admission.ts";
import { GatewayError } from "../token/errors.ts";
import { CallPlace } from "./call-place.ts";
import { reasonOf } from "./connect-error.ts";
import type { Exchange } from "./exchange.ts";
import { continued, gatherBody } from "./request-body.ts";

const LIMIT_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

type Body = Pick<Exchange, "read">;

/** Pieces of so many bytes, then the end, or what the caller does in its place. */
function bodyOf(sizes: readonly number[], end: () => Promise<undefined> = async () => undefined) {
  const left = [...sizes];
  const reads: (number | undefined)[] = [];
  const body: Body = {
    read() {
      const size = left.shift();
      reads.push(size);
      return size === undefined ? end() : Promise.resolve(new Uint8Array(size));
    },
  };
  return { body, reads };
}

describe("a body", () => {
  it.each([
    ["nothing", [], []],
    ["one piece", [5], [5]],
    ["as much as it may be, in pieces", [4, 0, 6], [4, 0, 6]],
  ])("of %s is gathered whole", async (_what, sizes, gathered) => {
    const { body } = bodyOf(sizes);
    const { pieces, isWhole } = await gatherBody(body, LIMIT_MS, 10, undefined);
    expect([pieces.map(({ length }) => length), isWhole]).toEqual([gathered, true]);
  });

  it("of more is not read on: the rest is left", async () => {
    const { body, reads } = bodyOf([4, 7, 8]);
    const { pieces, isWhole } = await gatherBody(body, LIMIT_MS, 10, undefined);
    expect([pieces.map(({ length }) => length), isWhole]).toEqual([[4, 7], false]);
    expect(reads).toEqual([4, 7]);
  });

  it("that its caller leaves is CANCELED", async () => {
    const { body } = bodyOf([4], () => Promise.reject(new Error("the caller went away")));
    const error = await gatherBody(body, LIMIT_MS, 10, undefined).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.Canceled, cause: { message: "the caller went away" } });
  });

  it("that does not come whole in time is DEADLINE_EXCEEDED, whatever comes of it then", async () => {
    let leave: (error: Error) => void = () => undefined;
    const gone = new Promise<undefined>((_resolve, reject) => {
      leave = reject;
    });
    const gathered = gatherBody(bodyOf([4], () => gone).body, LIMIT_MS, 10, undefined).catch(ConnectError.from);
    await vi.advanceTimersByTimeAsync(LIMIT_MS);
    const error = await gathered;
    if (!(error instanceof ConnectError)) throw new Error("it was gathered");
    expect([error.code, reasonOf(error)]).toEqual([Code.DeadlineExceeded, "DEADLINE_EXCEEDED"]);
    leave(new Error("the caller went away"));
    await vi.advanceTimersByTimeAsync(0);
  });

  it("is counted piece by piece, and refused where there is no room for it", async () => {
    const admission = admissionWith({ maxPendingBytes: 17_000 });
    const place = new CallPlace(admission);
    const { body, reads } = bodyOf([16_000, 1_000, 1]);
    const error = await gatherBody(body, LIMIT_MS, 20_000, place).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ reason: "OVERLOADED", facts: { limit: "pending_bytes" } });
    expect([reads, admission.pendingBytes]).toEqual([[16_000, 1_000, 1], 17_000]);
    place.free();
    expect(admission.pendingBytes).toBe(0);
  });
});

describe("what goes on from a gathered body", () => {
  async function* rest() {
    yield new Uint8Array(3);
  }

  it.each([
    [true, [1, 2]],
    [false, [1, 2, 3]],
  ])("whole: %s", async (isWhole, sizes) => {
    const pieces = [new Uint8Array(1), new Uint8Array(2)];
    const lengths: number[] = [];
    for await (const { length } of continued({ pieces, isWhole }, rest)) lengths.push(length);
    expect(lengths).toEqual(sizes);
  });
});
