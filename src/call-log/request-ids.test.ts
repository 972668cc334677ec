import { describe, expect, it } from "vitest";
import { RequestIds } from "./request-ids.ts";

describe("RequestIds", () => {
  const made = /^[0-9a-f]{12}-[0-9a-z]+$/;

  it.each(["a", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "req_01.a:b", "x".repeat(64)])("takes %s as given", (id) => {
    expect(new RequestIds().of(id)).toBe(id);
  });

  it.each([
    ["nothing", undefined],
    ["an empty text", ""],
    ["one that is too long", "x".repeat(65)],
    ["several joined", "a, b"],
    ["one that breaks lines", "a\nb"],
    ["one that is no ASCII", "\u00e9"],
    ["a token", "mt_3f8Kq0Lx9Zb7Vn5Rw2Tj6Yc1"],
    ["a key", "sk_test_0a1B2c3D4e5F6g7H8i9J"],
  ])("makes one for %s", (_what, given) => {
    expect(new RequestIds().of(given)).toMatch(made);
  });

  it("never makes the same one twice", () => {
    const [one, other] = [new RequestIds(), new RequestIds()];
    const ids = Array.from({ length: 1_000 }, (_, n) => (n % 2 === 0 ? one : other).of(undefined));
    expect(new Set(ids).size).toBe(1_000);
  });
});
