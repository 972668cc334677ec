import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

const NAMES = ["GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN", "GATEWAY_VERDICT_TTL_MS", "clerk.timeoutMs"];

test.each([
  ["GATEWAY_LISTN", "GATEWAY_LISTEN"],
  ["GATEWAY_LISTNE", "GATEWAY_LISTEN"],
  ["gateway-listen", "GATEWAY_LISTEN"],
  ["GATEWAY_VERDICT_TTL", "GATEWAY_VERDICT_TTL_MS"],
  ["clerk.timeout_ms", "clerk.timeoutMs"],
  ["clerk.TimeOut", "clerk.timeoutMs"],
])("%s is taken for %s", (name, meant) => {
  expect(nearest(name, NAMES)).toBe(meant);
});

test.each(["", "x", "GATEWAY", "GATEWAY_PORT", "METRICS_PORT", "z".repeat(10_000)])("%j is like none", (name) => {
  expect(nearest(name, NAMES)).toBeUndefined();
});
