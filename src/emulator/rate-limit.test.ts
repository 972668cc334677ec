import { expect, it } from "vitest";
import { RateLimit } from "./rate-limit.ts";

it("refuses the request after the limit until the key's window is over", () => {
  const limit = new RateLimit();
  limit.count("a", 2, 1000);
  limit.count("a", 2, 5000);
  expect(() => limit.count("a", 2, 10_999)).toThrow(
    expect.objectContaining({ status: 429, headers: { "retry-after": "1" } }),
  );
  limit.count("b", 2, 10_999);
  limit.count("a", 2, 11_000);
});

it("0 is no limit", () => {
  const limit = new RateLimit();
  for (let i = 0; i < 100; i += 1) limit.count("a", 0, 0);
});
