import { describe, expect, test } from "vitest";
import { formatEndpoint, formatListenAddress, parseEndpoint, parseListenAddress } from "./endpoint.ts";

describe("an endpoint", () => {
  test.each([
    ["127.0.0.1:50051", "127.0.0.1", 50051],
    ["[::1]:0", "::1", 0],
    ["[fe80::1%eth0]:1", "fe80::1%eth0", 1],
    [":65535", "::", 65535],
    ["my-host.internal:1", "my-host.internal", 1],
  ])("%s is read", (text, host, port) => {
    const endpoint = parseEndpoint(text);
    expect(endpoint).toEqual({ host, port });
    expect(parseEndpoint(formatEndpoint({ host, port }))).toEqual(endpoint);
  });

  test.each([
    "",
    "50051",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:1.5",
    "127.0.0.1:50051 ",
    "256.0.0.1:1",
    "1.2.3:1",
    "::1:50051",
    "[::1]",
    "[::1]50051",
    "[1.2.3.4]:1",
    "[nonsense]:1",
    "http://127.0.0.1:1",
    "host:1/path",
    "*:1",
    "-host:1",
    "a..b:1",
    `${"a".repeat(64)}:1`,
    "host\n:1",
  ])("%j is not one", (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });
});

describe("an address to listen at", () => {
  test.each(["127.0.0.1:50051", "unix:/run/gateway.sock", `unix:/${"a".repeat(102)}`])("%s is read", (text) => {
    const address = parseListenAddress(text);
    expect(address === undefined ? undefined : formatListenAddress(address)).toBe(text);
  });

  test.each(["unix:", "unix:relative.sock", "unix:/", "unix:/run/", "unix:/a\0b", `unix:/${"a".repeat(103)}`])(
    "%j is not one",
    (text) => {
      expect(parseListenAddress(text)).toBeUndefined();
    },
  );
});
