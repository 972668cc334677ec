import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { mint, raw, verifyStatus } from "./raw-http.ts";

let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator();
});

beforeEach(() => emulator.reset());

afterAll(() => emulator.close());

const control = (line: string, body?: unknown, headers = {}) => {
  const [method, path] = line.split(" ");
  return raw(emulator, `${method} /__emulator${path}`, { body, headers });
};

const verifies = () => verifyStatus(emulator, "billing", "mt_x");

describe("the control API", () => {
  it("shows the state without a key or a token's secret, unless asked", async () => {
    const { id, secret } = await mint(emulator, "billing");
    const secrets = [secret, emulator.instanceKey, ...emulator.machines().map(({ secretKey }) => secretKey)];
    const shown = await control("GET /state");
    expect(shown.json).toMatchObject({
      instance: { id: emulator.instanceId },
      machines: [{ name: "billing" }, { name: "reports" }],
      tokens: [{ id, revoked: false, expired: false }],
      token_counts: { total: 1, live: 1, revoked: 0, expired: 0 },
    });
    for (const text of secrets) expect(shown.text).not.toContain(text);
    const { text } = await control("GET /state?secrets=true");
    for (const each of secrets) expect(text).toContain(each);
  });

  it("adds, shows and removes faults", async () => {
    const added = await control("POST /faults", { route: "m2m_tokens.verify", status: 500, count: 5 });
    expect(added.status).toBe(201);
    expect(await verifies()).toBe(500);
    expect(JSON.parse((await control("GET /faults")).text)).toEqual([
      { id: added.json.id, route: "m2m_tokens.verify", status: 500, count: 4 },
    ]);
    expect((await control(`DELETE /faults/${added.json.id}`)).status).toBe(200);
    expect((await control(`DELETE /faults/${added.json.id}`)).status).toBe(404);
    await control("POST /faults", { status: 500 });
    await control("DELETE /faults");
    expect(await verifies()).toBe(404);
  });

  it("reads and sets switches, none of them when one is wrong", async () => {
    expect((await control("POST /switches", { verify_refusal_status: 400 })).json.verify_refusal_status).toBe(400);
    expect(await verifies()).toBe(400);
    const wrong = await control("POST /switches", { verify_refusal_status: 404, revoke_again: "maybe", no_such: 1 });
    expect(wrong.status).toBe(400);
    expect(wrong.json.problems).toEqual([
      'revoke_again: must be "ok" or "not_found" or "conflict"',
      expect.stringContaining("no_such: no such switch"),
    ]);
    expect((await control("GET /switches")).json.verify_refusal_status).toBe(400);
  });

  it("counts requests by operation, answers by status, and starts again from zero", async () => {
    await Promise.all([verifies(), verifies(), mint(emulator, "billing")]);
    await raw(emulator, "GET /nowhere");
    expect((await control("GET /requests")).json).toMatchObject({
      "m2m_tokens.verify": { total: 2, in_flight: 0, statuses: { 404: 2 } },
      "m2m_tokens.create": { total: 1, statuses: { 201: 1 } },
      unknown: { total: 1, statuses: { 401: 1 } },
    });
    await control("DELETE /requests");
    expect((await control("GET /requests")).json).toEqual({});
  });

  it("moves the clock forward", async () => {
    const { secret } = await mint(emulator, "billing");
    const { json } = await control("POST /clock", { advance_ms: 3_600_000 });
    expect(json).toMatchObject({ now_ms: expect.any(Number), offset_ms: 3_600_000 });
    expect(await verifyStatus(emulator, "billing", secret)).toBe(404);
  });

  it("resets everything to the start, with the same ids and keys", async () => {
    const before = emulator.machines();
    await mint(emulator, "billing");
    await raw(emulator, `DELETE /machines/${before[0]?.id}`, { key: emulator.instanceKey });
    await control("POST /clock", { advance_ms: 1000 });
    await control("POST /switches", { verify_refusal_status: 400 });
    await control("POST /faults", { status: 500 });
    expect((await control("POST /reset")).status).toBe(200);
    expect(emulator.machines()).toEqual(before);
    const { json } = await control("GET /state");
    expect(json).toMatchObject({ clock_offset_ms: 0, tokens: [], faults: [], requests: {} });
    expect(await verifies()).toBe(404);
  });

  it.each([
    ["POST /faults", { route: "nowhere", count: 0, probability: 2, headers: { "content-length": "1" }, zap: 1 }, 5],
    ["POST /faults", undefined, 1],
    ["POST /faults", "{", 1],
    ["POST /switches", [], 1],
    ["POST /clock", { advance_ms: -1 }, 1],
    ["POST /clock", { advance_ms: "1" }, 1],
    ["POST /clock", undefined, 1],
  ])("%s %j is refused, naming each problem", async (line, body, count) => {
    const { status, json } = await control(line, body);
    expect(status).toBe(400);
    expect(json.problems).toHaveLength(count);
  });

  it("knows its own paths only, and is not under /v1", async () => {
    expect((await control("GET /nothing")).status).toBe(404);
    expect((await control("GET ")).status).toBe(404);
    expect((await raw(emulator, "GET /v1/__emulator/state")).status).toBe(401);
  });

  it("refuses what a web page sends", async () => {
    expect((await control("POST /reset", undefined, { origin: "http://evil.example" })).status).toBe(403);
  });
});
