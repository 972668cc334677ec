import { describe, expect, it } from "vitest";
import type { Protocol } from "./protocol.ts";
import { takeTimeoutMs } from "./timeout-header.ts";

const NAMES: Readonly<Record<Protocol, string>> = {
  grpc: "grpc-timeout",
  "grpc-web": "grpc-timeout",
  connect: "connect-timeout-ms",
};

function take(protocol: Protocol, value: string, waitedMs: number): [number | undefined, string | null] {
  const headers = new Headers({ [NAMES[protocol]]: value });
  return [takeTimeoutMs(protocol, headers, waitedMs), headers.get(NAMES[protocol])];
}

describe("takeTimeoutMs", () => {
  it.each<[Protocol, string, number, number | undefined, string | null]>([
    ["grpc", "2S", 0.5, 2000, "2S"],
    ["grpc", "2S", 500.5, 1499, "1499m"],
    ["grpc-web", "300m", 100, 200, "200m"],
    ["connect", "300", 100, 200, "200"],
    // What has passed leaves nothing.
    ["grpc", "50m", 60, 0, "0m"],
    ["connect", "50", 60, 0, "0"],
    // Of so long a time the wait is nothing, and its milliseconds would not fit.
    ["grpc", "99999999S", 1000, undefined, null],
    ["grpc", "100H", 1000, 360_000_000, "100H"],
    ["grpc", "never", 1000, undefined, "never"],
  ])("takes %s %j after a wait of %d ms as %d", (protocol, value, waitedMs, leftMs, left) => {
    expect(take(protocol, value, waitedMs)).toEqual([leftMs, left]);
  });
});
