import { describe, expect, it } from "vitest";
import { type ConsoleCall, refusalOf } from "./console-rpcs.ts";

const OWN: ConsoleCall = {
  method: "POST",
  remoteAddress: "127.0.0.1",
  host: "127.0.0.1:50052",
  origin: "http://127.0.0.1:50052",
  fetchSite: "same-origin",
};

describe("a call of the console", () => {
  it.each<Partial<ConsoleCall>>([
    {},
    { remoteAddress: "::1", host: "[::1]:50052", origin: "http://[::1]:50052" },
    { remoteAddress: "::ffff:127.0.0.1", host: "localhost:8080", origin: "http://localhost:8080" },
    { host: "gateway.localhost", origin: "http://gateway.localhost" },
    { host: "localhost", origin: "https://localhost" },
    { origin: undefined, fetchSite: undefined },
  ])("is served from the page itself, and for programs of this machine: %j", (call) => {
    expect(refusalOf({ ...OWN, ...call })).toBeUndefined();
  });

  it.each<[string, Partial<ConsoleCall>, RegExp]>([
    ["from another machine", { remoteAddress: "10.0.0.7" }, /loopback/],
    ["of nobody", { remoteAddress: undefined }, /loopback/],
    ["under a name that was rebound", { host: "evil.test", origin: "http://evil.test" }, /Host/],
    ["under a name that only looks like localhost", { host: "localhost.evil.test" }, /Host/],
    ["under a name that only looks like an address", { host: "127.0.0.1.evil.test" }, /Host/],
    ["without a Host", { host: undefined }, /Host/],
    ["from another page", { origin: "https://evil.test" }, /origin/],
    ["from another port of this machine", { origin: "http://127.0.0.1:3000" }, /origin/],
    ["from a sandboxed page", { origin: "null" }, /origin/],
    ["from another site, by the browser's word alone", { origin: undefined, fetchSite: "cross-site" }, /site/],
    ["from another origin of the site", { origin: undefined, fetchSite: "same-site" }, /site/],
    ["by a link", { method: "GET" }, /POST/],
  ])("is refused %s", (_what, call, why) => {
    expect(refusalOf({ ...OWN, ...call })).toMatch(why);
  });
});
