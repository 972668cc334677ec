import { afterEach, describe, expect, it } from "vitest";
import { type GatewayFixture, startGatewayFixture } from "../support/gateway-fixture.ts";

let fixture: GatewayFixture | undefined;

afterEach(async () => {
  await fixture?.[Symbol.asyncDispose]();
  fixture = undefined;
});

async function start(access: string, env: Record<string, string> = {}): Promise<GatewayFixture> {
  fixture = await startGatewayFixture({ env: { GATEWAY_ACCESS_LOG: access, CLERK_MAX_ATTEMPTS: "1", ...env } });
  return fixture;
}

/** The access lines; not those of failures, which operators see by their severity. */
function accesses(): Record<string, unknown>[] {
  const lines = (fixture?.logLines ?? []).map((line): Record<string, unknown> => JSON.parse(line));
  return lines.filter(({ msg, level }) => msg === "call" && level === "info");
}

async function verifyTimes({ tokens }: GatewayFixture, token: string, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await tokens.verifyToken({ token }, { headers: { "x-request-id": `req-${n}` } });
}

describe("the access log", () => {
  it("is off unless asked for", async () => {
    const gateway = await start("");
    await verifyTimes(gateway, (await gateway.mint()).secret, 3);
    await expect(gateway.tokens.listTokens({ subject: "" })).rejects.toThrow();
    expect(accesses()).toEqual([]);
  });

  it("has a line for every call with 1: by whom it is found again, what it was, how it ended, what it decided", async () => {
    const gateway = await start("1");
    const { secret } = await gateway.mint();
    await verifyTimes(gateway, secret, 2);
    await expect(
      gateway.tokens.listTokens({ subject: "" }, { headers: { "x-request-id": "bad id" } }),
    ).rejects.toThrow();
    const common = { service: "m2mgateway.v1.TokenService", protocol: "grpc", durationMs: expect.any(Number) };
    const made = expect.stringMatching(/^[0-9a-f]{12}-[0-9a-z]+$/);
    expect(accesses()).toMatchObject([
      { ...common, method: "CreateToken", code: "OK", requestId: made },
      { ...common, method: "VerifyToken", code: "OK", requestId: "req-0", verdict: "valid", source: "upstream" },
      { ...common, method: "VerifyToken", code: "OK", requestId: "req-1", verdict: "valid", source: "memory" },
      { ...common, method: "ListTokens", code: "INVALID_ARGUMENT", reason: "ARGUMENT_INVALID", requestId: made },
    ]);
  });

  it("has one of every so many calls that end well, evenly, and all that fail", async () => {
    const gateway = await start("0.1");
    const { secret } = await gateway.mint();
    await verifyTimes(gateway, secret, 29);
    for (let n = 0; n < 3; n += 1) await expect(gateway.tokens.listTokens({ subject: "" })).rejects.toThrow();
    const lines = accesses();
    expect(lines.filter(({ code }) => code !== "OK")).toHaveLength(3);
    // The creation was the first.
    expect(lines.filter(({ code }) => code === "OK").map(({ requestId }) => requestId)).toEqual([
      "req-8",
      "req-18",
      "req-28",
    ]);
  });

  it("has those that fail alone with errors", async () => {
    const gateway = await start("errors");
    await verifyTimes(gateway, (await gateway.mint()).secret, 3);
    await expect(gateway.tokens.listTokens({ subject: "" })).rejects.toThrow();
    expect(accesses().map(({ method, code }) => [method, code])).toEqual([["ListTokens", "INVALID_ARGUMENT"]]);
  });

  it("says nothing that a level above info leaves out, but for the audit's lines, which no level loses", async () => {
    const gateway = await start("1", { GATEWAY_LOG_LEVEL: "warn" });
    await verifyTimes(gateway, (await gateway.mint()).secret, 2);
    const lines = (fixture?.logLines ?? []).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toEqual([expect.objectContaining({ audit: true, method: "CreateToken" })]);
  });

  it("keeps a token that a caller sends as its request id out of it", async () => {
    const gateway = await start("1");
    const { secret } = await gateway.mint();
    const headers = { "x-request-id": secret };
    for (let n = 0; n < 2; n += 1) await gateway.tokens.verifyToken({ token: secret }, { headers });
    expect(accesses()).toHaveLength(3);
    expect(gateway.logLines.join("")).not.toContain(secret.slice(3));
  });
});
