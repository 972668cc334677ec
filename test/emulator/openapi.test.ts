import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { mint, type RawAnswer, raw, verifyStatus } from "./raw-http.ts";

let emulator: Emulator;
let instance: string;
let billing: string;
let reports: string;

beforeAll(async () => {
  emulator = await startEmulator();
});

beforeEach(() => {
  emulator.reset();
  instance = emulator.instanceKey;
  billing = emulator.machine("billing").secretKey;
  reports = emulator.machine("reports").secretKey;
});

afterAll(() => emulator.close());

const MACHINE_ID = /^mch_\w{27}$/;
const isString = (value: unknown) => typeof value === "string";
const isTime = (value: unknown) => typeof value === "number" && Number.isInteger(value) && value > 1e12;
const isTimeOrNull = (value: unknown) => value === null || isTime(value);
const isMachineId = (value: unknown) => typeof value === "string" && MACHINE_ID.test(value);

/** Every field of the published schema, each required here: the emulator sends `claims` and `scopes` always. */
const TOKEN = {
  object: (value: unknown) => value === "machine_to_machine_token",
  id: (value: unknown) => isString(value) && /^mt_[0-9A-Fa-f]{32}$/.test(String(value)),
  subject: isMachineId,
  claims: (value: unknown) => value !== undefined,
  scopes: (value: unknown) => Array.isArray(value) && value.every(isMachineId),
  revoked: (value: unknown) => typeof value === "boolean",
  revocation_reason: (value: unknown) => value === null || isString(value),
  expired: (value: unknown) => typeof value === "boolean",
  expiration: isTimeOrNull,
  last_used_at: isTimeOrNull,
  created_at: isTime,
  updated_at: isTime,
};

const FLAT_MACHINE = {
  object: (value: unknown) => value === "machine",
  id: isMachineId,
  name: isString,
  instance_id: (value: unknown) => value === emulator.instanceId,
  created_at: isTime,
  updated_at: isTime,
  default_token_ttl: (value: unknown) => Number.isInteger(value),
};

const MACHINE = {
  ...FLAT_MACHINE,
  scoped_machines: (value: unknown) => {
    if (!Array.isArray(value)) return false;
    for (const each of value) expectShape(each, FLAT_MACHINE);
    return true;
  },
};

/** That the object has these fields and no others, and that each is as it must be. */
function expectShape(object: unknown, shape: Record<string, (value: unknown) => boolean>) {
  const fields = Object.entries(object as Record<string, unknown>);
  expect(fields.map(([name]) => name).sort()).toEqual(Object.keys(shape).sort());
  for (const [name, value] of fields) expect(shape[name]?.(value), `${name} = ${JSON.stringify(value)}`).toBe(true);
}

function expectJson(answer: RawAnswer, status: number) {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(answer.headers.get("x-clerk-trace-id")).toMatch(/^[0-9a-f]{32}$/);
}

describe.each(["", "/v1"])("under %j", (prefix) => {
  it("answers a creation with 201 and the whole token", async () => {
    const answer = await raw(emulator, `POST ${prefix}/m2m_tokens`, { key: billing, body: {} });
    expectJson(answer, 201);
    expectShape(answer.json, { ...TOKEN, token: (value) => /^mt_[0-9A-Za-z]{48}$/.test(String(value)) });
    expect(answer.json).toMatchObject({ revoked: false, expired: false, last_used_at: null, claims: null });
    expect(answer.json.created_at).toBe(answer.json.updated_at);
    expect(answer.json.token).not.toMatch(/^mt_[0-9a-fA-F]*$/);
  });

  it("answers the creation of a JWT with 201 and the whole token", async () => {
    const body = { token_format: "jwt", claims: { role: "x" } };
    const answer = await raw(emulator, `POST ${prefix}/m2m_tokens`, { key: billing, body });
    expectJson(answer, 201);
    expectShape(answer.json, { ...TOKEN, token: (value) => String(value).split(".").length === 3 });
    expect(answer.json.claims).toEqual({ role: "x" });
  });

  it("answers list, verify and revoke with 200 and tokens without their secret", async () => {
    const { id, secret } = await mint(emulator, "billing", { claims: ["any", { json: 1 }] });
    const subject = emulator.machine("billing").id;
    const verified = await raw(emulator, `POST ${prefix}/m2m_tokens/verify`, { key: billing, body: { token: secret } });
    expectJson(verified, 200);
    expectShape(verified.json, TOKEN);
    const listed = await raw(emulator, `GET ${prefix}/m2m_tokens?subject=${subject}`, { key: billing });
    expectJson(listed, 200);
    expectShape(listed.json, { m2m_tokens: Array.isArray, total_count: (value) => value === 1 });
    for (const token of listed.json.m2m_tokens as unknown[]) expectShape(token, TOKEN);
    const revoked = await raw(emulator, `POST ${prefix}/m2m_tokens/${id}/revoke`, { key: billing, body: {} });
    expectJson(revoked, 200);
    expectShape(revoked.json, TOKEN);
    expect(revoked.json).toMatchObject({ id, revoked: true, revocation_reason: null, claims: ["any", { json: 1 }] });
    for (const { text } of [verified, listed, revoked]) expect(text).not.toContain(secret);
  });

  it("answers every machines operation with 200 and its published shape", async () => {
    const key = instance;
    const created = await raw(emulator, `POST ${prefix}/machines`, { key, body: { name: "mailer" } });
    expectJson(created, 200);
    expectShape(created.json, { ...MACHINE, secret_key: (value) => /^ak_/.test(String(value)) });
    expect(created.json.default_token_ttl).toBe(3600);
    const id = String(created.json.id);
    const path = `${prefix}/machines/${id}`;
    for (const [line, body] of [[`GET ${path}`], [`PATCH ${path}`, { name: "post" }]] as const) {
      const answer = await raw(emulator, line, { key, body });
      expectJson(answer, 200);
      expectShape(answer.json, MACHINE);
    }
    const listed = await raw(emulator, `GET ${prefix}/machines`, { key });
    expectJson(listed, 200);
    expectShape(listed.json, { data: Array.isArray, total_count: (value) => value === 3 });
    for (const machine of listed.json.data as unknown[]) expectShape(machine, MACHINE);
    const keyShape = { object: (value: unknown) => value === "machine_secret_key", secret: isString };
    expectShape((await raw(emulator, `GET ${path}/secret_key`, { key })).json, keyShape);
    const body = { previous_token_ttl: 0 };
    expectShape((await raw(emulator, `POST ${path}/secret_key/rotate`, { key, body })).json, keyShape);
    const ends = { from_machine_id: (value: unknown) => value === id, to_machine_id: isMachineId };
    const scope = { object: (value: unknown) => value === "machine_scope", ...ends };
    const added = await raw(emulator, `POST ${path}/scopes`, { key, body: { to_machine_id: id } });
    expectJson(added, 200);
    expectShape(added.json, { ...scope, created_at: isTime });
    const removed = await raw(emulator, `DELETE ${path}/scopes/${id}`, { key });
    expectJson(removed, 200);
    expectShape(removed.json, { ...scope, deleted: (value) => value === true });
    const deleted = await raw(emulator, `DELETE ${path}`, { key });
    expectJson(deleted, 200);
    expect(deleted.json).toEqual({ object: "machine", id, deleted: true });
  });

  it("answers both key sets with the one public RSA key", async () => {
    const open = await raw(emulator, `GET ${prefix}/.well-known/jwks.json`);
    expectJson(open, 200);
    const keyed = await raw(emulator, `GET ${prefix}/jwks`, { key: instance });
    expectJson(keyed, 200);
    expect(keyed.json).toEqual(open.json);
    const [key] = open.json.keys as unknown[];
    expectShape(key, {
      use: (value) => value === "sig",
      kty: (value) => value === "RSA",
      alg: (value) => value === "RS256",
      kid: (value) => value === emulator.instanceId,
      e: (value) => value === "AQAB",
      n: (value) => isString(value) && String(value).length > 300,
    });
  });
});

describe("a token", () => {
  it("dates its creation and its expiry from one reading of the clock", async () => {
    let readings = 1_760_000_000_000;
    const ticking = await startEmulator({ now: () => readings++ });
    const { json } = await raw(ticking, "POST /m2m_tokens", { key: ticking.machine("billing").secretKey, body: {} });
    expect([Number(json.expiration) - Number(json.created_at), json.updated_at]).toEqual([3_600_000, json.created_at]);
    await ticking.close();
  });

  it("lives seconds_until_expiration, else the machine's default, fractions rounded up to a millisecond", async () => {
    const lifeOf = async (body: unknown) => {
      const { json } = await raw(emulator, "POST /m2m_tokens", { key: billing, body });
      return Number(json.expiration) - Number(json.created_at);
    };
    expect(await lifeOf({ seconds_until_expiration: 60 })).toBe(60_000);
    expect(await lifeOf({ seconds_until_expiration: 0.0005 })).toBe(1);
    expect(await lifeOf({ seconds_until_expiration: null })).toBe(3_600_000);
    const { id } = emulator.machine("billing");
    await raw(emulator, `PATCH /machines/${id}`, { key: instance, body: { default_token_ttl: 7 } });
    expect(await lifeOf({})).toBe(7000);
  });

  it("takes null wherever the schema has null, and content types with a charset", async () => {
    const body = { seconds_until_expiration: null, claims: null };
    const headers = { "content-type": "Application/JSON; charset=utf-8" };
    const created = await raw(emulator, "POST /m2m_tokens", { key: billing, body, headers });
    expect(created.status).toBe(201);
    const line = `POST /m2m_tokens/${created.json.id}/revoke`;
    expect((await raw(emulator, line, { key: billing, body: { revocation_reason: null } })).status).toBe(200);
  });

  it("keeps claims of any JSON, a __proto__ key included, as they came", async () => {
    const claims = '{"__proto__":{"a":1},"deep":[[[[[[[[[["x"]]]]]]]]]],"n":-1.5e3,"u":"\\u0000é"}';
    const { json } = await raw(emulator, "POST /m2m_tokens", { key: billing, body: `{"claims":${claims}}` });
    const { text } = await raw(emulator, "POST /m2m_tokens/verify", { key: billing, body: { token: json.token } });
    expect(text).toContain(`"claims":${JSON.stringify(JSON.parse(claims))}`);
  });

  it("is verified by a machine's key only if granted to that machine, by the instance's always", async () => {
    const ofBilling = await mint(emulator, "billing");
    const ofReports = await mint(emulator, "reports");
    expect(await verifyStatus(emulator, "billing", ofBilling.secret)).toBe(200);
    expect(await verifyStatus(emulator, "reports", ofBilling.secret)).toBe(200);
    expect(await verifyStatus(emulator, "billing", ofReports.secret)).toBe(200);
    expect(await verifyStatus(emulator, "reports", ofReports.secret)).toBe(404);
    const body = { token: ofReports.secret };
    expect((await raw(emulator, "POST /m2m_tokens/verify", { key: instance, body })).status).toBe(200);
  });

  it("is verified until the millisecond it expires", async () => {
    const fixed = await startEmulator({ now: () => 1_760_000_000_000 });
    const { secret } = await mint(fixed, "billing", { seconds_until_expiration: 10 });
    fixed.control.clock.advance(9999);
    expect(await verifyStatus(fixed, "reports", secret)).toBe(200);
    fixed.control.clock.advance(1);
    expect(await verifyStatus(fixed, "reports", secret)).toBe(404);
    await fixed.close();
  });

  it("is not verified by its id", async () => {
    const { id } = await mint(emulator, "billing");
    expect(await verifyStatus(emulator, "billing", id)).toBe(404);
  });

  it("records when it was last verified", async () => {
    const { secret } = await mint(emulator, "billing");
    emulator.control.clock.advance(5000);
    const { json } = await raw(emulator, "POST /m2m_tokens/verify", { key: reports, body: { token: secret } });
    expect(json.last_used_at).toBe(json.updated_at);
    expect(Number(json.last_used_at)).toBeGreaterThanOrEqual(Number(json.created_at) + 5000);
  });

  it("is revoked by its machine's key or the instance's, and does not exist for other machines", async () => {
    const { id, secret } = await mint(emulator, "billing");
    const line = `POST /m2m_tokens/${id}/revoke`;
    expect((await raw(emulator, line, { key: reports, body: {} })).codes).toEqual(["resource_not_found"]);
    expect(await verifyStatus(emulator, "reports", secret)).toBe(200);
    const body = { revocation_reason: "leaked" };
    expect((await raw(emulator, line, { key: instance, body })).json.revocation_reason).toBe("leaked");
    expect(await verifyStatus(emulator, "reports", secret)).toBe(404);
  });

  it("is listed unless revoked or expired, or also then if asked for", async () => {
    const live = await mint(emulator, "billing");
    const revoked = await mint(emulator, "billing");
    const expired = await mint(emulator, "billing", { seconds_until_expiration: 1 });
    await raw(emulator, `POST /m2m_tokens/${revoked.id}/revoke`, { key: billing, body: {} });
    emulator.control.clock.advance(1000);
    const ids = async (query: string) => {
      const subject = emulator.machine("billing").id;
      const { json } = await raw(emulator, `GET /m2m_tokens?subject=${subject}${query}`, { key: instance });
      return (json.m2m_tokens as { id: string }[]).map(({ id }) => id);
    };
    expect(await ids("")).toEqual([live.id]);
    expect(await ids("&revoked=true")).toEqual([revoked.id, live.id]);
    expect(await ids("&expired=true")).toEqual([expired.id, live.id]);
    expect(await ids("&revoked=true&expired=true&limit=2")).toEqual([expired.id, revoked.id]);
    expect(await ids("&revoked=true&expired=true&limit=2&offset=2")).toEqual([live.id]);
  });
});

describe("min_remaining_ttl_seconds", () => {
  const reuse = async (body: Record<string, unknown>) => {
    const answer = await raw(emulator, "POST /m2m_tokens", { key: billing, body });
    return String(answer.json.id);
  };

  it("reuses a token of the same claims whatever the order of their keys", async () => {
    const { id } = await mint(emulator, "billing", { claims: { a: { x: 1, y: 2 }, b: null } });
    expect(await reuse({ claims: { b: null, a: { y: 2, x: 1 } }, min_remaining_ttl_seconds: 60 })).toBe(id);
    expect(await reuse({ claims: { b: null, a: { y: 2, x: 3 } }, min_remaining_ttl_seconds: 60 })).not.toBe(id);
  });

  it("never reuses a token that is revoked, has too little time left, or has other scopes", async () => {
    const first = await mint(emulator, "billing", { seconds_until_expiration: 100 });
    const body = { seconds_until_expiration: 100, min_remaining_ttl_seconds: 40 };
    emulator.control.clock.advance(30_000);
    expect(await reuse(body)).toBe(first.id);
    emulator.control.clock.advance(30_001);
    const second = await reuse(body);
    expect(second).not.toBe(first.id);
    await raw(emulator, `POST /m2m_tokens/${second}/revoke`, { key: billing, body: {} });
    const third = await reuse(body);
    expect(third).not.toBe(second);
    const { id } = emulator.machine("billing");
    await raw(emulator, `DELETE /machines/${id}/scopes/${id}`, { key: instance });
    expect(await reuse(body)).not.toBe(third);
  });

  it("never reuses another machine's token, nor a JWT", async () => {
    await mint(emulator, "reports");
    const jwt = { token_format: "jwt", min_remaining_ttl_seconds: 1 };
    expect(await reuse(jwt)).not.toBe(await reuse(jwt));
    expect(emulator.control.tokens()).toHaveLength(1);
    await reuse({ min_remaining_ttl_seconds: 1 });
    expect(emulator.control.tokens()).toHaveLength(2);
  });

  it("is refused when no new token could satisfy it", async () => {
    for (const body of [
      { min_remaining_ttl_seconds: 3600 },
      { seconds_until_expiration: 60, min_remaining_ttl_seconds: 60 },
    ]) {
      expect((await raw(emulator, "POST /m2m_tokens", { key: billing, body })).codes).toEqual(["bad_request"]);
    }
  });
});
