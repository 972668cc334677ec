import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { parseDurationMs, parseGatewayUrl } from "./arguments.ts";

describe("durations", () => {
  it.each([
    ["0", 0],
    ["500ms", 500],
    ["1.5s", 1500],
    ["3600s", 3_600_000],
    ["1h30m", 5_400_000],
    ["3650d", 315_360_000_000],
  ])("reads %s", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(["", "10", "-1s", "1 h", "1w", "1e3s", "s", "3651d", "1h!"])("refuses %j", (text) => {
    expect(() => parseDurationMs(text)).toThrow(InvalidArgumentError);
  });
});

describe("the gateway's URL", () => {
  it.each([
    ["http://127.0.0.1:50051", "http://127.0.0.1:50051"],
    ["http://127.0.0.1:50051/", "http://127.0.0.1:50051"],
    ["127.0.0.1:50051", "http://127.0.0.1:50051"],
    ["localhost:50051", "http://localhost:50051"],
    ["[::1]:50051", "http://[::1]:50051"],
    ["https://gateway.internal/m2m", "https://gateway.internal/m2m"],
    ["unix:/run/gateway.sock", "unix:/run/gateway.sock"],
  ])("reads %s", (text, url) => {
    expect(parseGatewayUrl(text)).toBe(url);
  });

  it.each([
    "",
    "ftp://x",
    "http://",
    "http://user@x",
    "http://x?y",
    "http://x#y",
    "http://x:99999",
    "unix:",
    "unix:x.sock",
    "unix:/",
  ])("refuses %j", (text) => {
    expect(() => parseGatewayUrl(text)).toThrow(InvalidArgumentError);
  });
});
