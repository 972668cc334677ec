import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { mint, raw, verifyStatus } from "./raw-http.ts";

let emulator: Emulator;
let billing: string;

beforeAll(async () => {
  emulator = await startEmulator();
});

beforeEach(() => {
  emulator.reset();
  billing = emulator.machine("billing").secretKey;
});

afterAll(() => emulator.close());

const create = (body: unknown) => raw(emulator, "POST /m2m_tokens", { key: billing, body });
const revoke = (id: string) => raw(emulator, `POST /m2m_tokens/${id}/revoke`, { key: billing, body: {} });
const verify = (body: unknown) => raw(emulator, "POST /m2m_tokens/verify", { key: billing, body });

function claimsOf(jwt: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(jwt).split(".")[1] ?? "", "base64url").toString());
}

describe("switches", () => {
  it("absent_expiry: never makes opaque tokens without end and leaves JWTs one", async () => {
    emulator.control.switches.set({ absent_expiry: "never" });
    const opaque = await create({ seconds_until_expiration: null });
    expect([opaque.json.expiration, opaque.json.expired]).toEqual([null, false]);
    emulator.control.clock.advance(300_000_000_000);
    expect((await verify({ token: opaque.json.token })).status).toBe(200);
    expect((await create({ min_remaining_ttl_seconds: 1_000_000_000 })).json.id).toBe(opaque.json.id);
    const { token } = (await create({ token_format: "jwt" })).json;
    expect(claimsOf(token).exp).toBe(Number(claimsOf(token).iat) + 3600);
  });

  it("jwt_audience: aud is the granted machines, or the claims' own, or with none absent", async () => {
    const ids = emulator.machines().map(({ id }) => id);
    const jwt = async (claims: unknown) => (await create({ token_format: "jwt", claims })).json.token;
    expect(claimsOf(await jwt(null)).aud).toEqual(ids);
    expect(claimsOf(await jwt({ aud: "convex" })).aud).toBe("convex");
    emulator.control.switches.set({ jwt_audience: "none" });
    expect(claimsOf(await jwt(null))).not.toHaveProperty("aud");
  });

  it("opaque_reserved_claims: refuse applies the JWT's rule", async () => {
    emulator.control.switches.set({ opaque_reserved_claims: "refuse" });
    expect((await create({ claims: { sub: "x" } })).codes).toEqual(["machine_token_reserved_claim"]);
    expect((await create({ claims: "text" })).status).toBe(201);
  });

  it("reuse_status: a reused token comes with 201 or 200", async () => {
    await create({});
    expect((await create({ min_remaining_ttl_seconds: 1 })).status).toBe(201);
    emulator.control.switches.set({ reuse_status: 200 });
    expect((await create({ min_remaining_ttl_seconds: 1 })).status).toBe(200);
    expect((await create({})).status).toBe(201);
  });

  it("revoke_again: a second revocation changes nothing and is 200, 404 or 409", async () => {
    const { id } = await mint(emulator, "billing");
    const first = await revoke(id);
    emulator.control.clock.advance(1000);
    const second = await raw(emulator, `POST /m2m_tokens/${id}/revoke`, {
      key: billing,
      body: { revocation_reason: "later" },
    });
    expect([second.status, second.json]).toEqual([200, first.json]);
    emulator.control.switches.set({ revoke_again: "not_found" });
    expect((await revoke(id)).codes).toEqual(["resource_not_found"]);
    emulator.control.switches.set({ revoke_again: "conflict" });
    const third = await revoke(id);
    expect([third.status, third.codes]).toEqual([409, ["conflict"]]);
  });

  it("verify_refusal_status: 404 or 400", async () => {
    emulator.control.switches.set({ verify_refusal_status: 400 });
    const answer = await verify({ token: "mt_unknown" });
    expect([answer.status, answer.codes]).toEqual([400, ["bad_request"]]);
  });

  it("verify_dead_tokens: answer gives 200 with the flag, to those it is granted to, and is no use of the token", async () => {
    emulator.control.switches.set({ verify_dead_tokens: "answer" });
    const revoked = await mint(emulator, "billing");
    await revoke(revoked.id);
    const dead = await verify({ token: revoked.secret });
    expect([dead.status, dead.json.revoked, dead.json.last_used_at]).toEqual([200, true, null]);
    const expired = await mint(emulator, "billing", { seconds_until_expiration: 1 });
    const jwt = await create({ token_format: "jwt", seconds_until_expiration: 1 });
    emulator.control.clock.advance(2000);
    for (const token of [expired.secret, jwt.json.token]) {
      const answer = await verify({ token });
      expect([answer.status, answer.json.expired]).toEqual([200, true]);
    }
    const notGranted = await mint(emulator, "reports", { seconds_until_expiration: 1 });
    expect(await verifyStatus(emulator, "reports", notGranted.secret)).toBe(404);
  });

  it("verify_legacy_secret: takes the field that older clients send", async () => {
    const { secret } = await mint(emulator, "billing");
    expect((await verify({ secret })).status).toBe(400);
    emulator.control.switches.set({ verify_legacy_secret: true });
    expect((await verify({ secret })).status).toBe(200);
    expect((await verify({ token: secret })).status).toBe(200);
  });

  it("machine_deletion_kills_tokens: its tokens go with it, or stay for the instance key to manage", async () => {
    const gone = await mint(emulator, "reports");
    const { id } = emulator.machine("reports");
    const path = `GET /m2m_tokens?subject=${id}`;
    await raw(emulator, `DELETE /machines/${id}`, { key: emulator.instanceKey });
    expect((await verify({ token: gone.secret })).status).toBe(404);
    expect((await raw(emulator, path, { key: emulator.instanceKey })).status).toBe(404);

    emulator.reset();
    emulator.control.switches.set({ machine_deletion_kills_tokens: false });
    const kept = await mint(emulator, "reports");
    await raw(emulator, `DELETE /machines/${id}`, { key: emulator.instanceKey });
    expect((await verify({ token: kept.secret })).status).toBe(200);
    expect((await raw(emulator, path, { key: emulator.instanceKey })).json.total_count).toBe(1);
  });

  it("rate_limit_per_10s: each key has its own, key sets are free, and Retry-After says when", async () => {
    const fixed = await startEmulator({ now: () => 1_760_000_000_000, switches: { rate_limit_per_10s: 2 } });
    const key = fixed.instanceKey;
    const status = async (line: string) => (await raw(fixed, line, { key })).status;
    expect([await status("GET /machines"), await status("GET /nowhere")]).toEqual([200, 404]);
    fixed.control.clock.advance(3500);
    const refused = await raw(fixed, "GET /machines", { key });
    expect([refused.status, refused.codes]).toEqual([429, ["too_many_requests"]]);
    expect(refused.headers.get("retry-after")).toBe("7");
    expect(await status("GET /jwks")).toBe(200);
    expect(await verifyStatus(fixed, "billing", "mt_x")).toBe(404);
    fixed.control.clock.advance(6500);
    expect(await status("GET /machines")).toBe(200);
    await fixed.close();
  });

  it("revoke_propagation_ms: verify answers as before a revocation for that long, list does not", async () => {
    const fixed = await startEmulator({ now: () => 1_760_000_000_000, switches: { revoke_propagation_ms: 500 } });
    const { id, secret } = await mint(fixed, "billing");
    const key = fixed.instanceKey;
    await raw(fixed, `POST /m2m_tokens/${id}/revoke`, { key, body: { revocation_reason: "leaked" } });
    fixed.control.clock.advance(499);
    const lagging = await raw(fixed, "POST /m2m_tokens/verify", { key, body: { token: secret } });
    expect(lagging.json).toMatchObject({ revoked: false, revocation_reason: null });
    const subject = fixed.machine("billing").id;
    expect((await raw(fixed, `GET /m2m_tokens?subject=${subject}`, { key })).json.total_count).toBe(0);
    fixed.control.clock.advance(1);
    expect(await verifyStatus(fixed, "billing", secret)).toBe(404);
    await fixed.close();
  });
});

describe("JWTs on verify", () => {
  const mintJwt = async (body: object = {}) => String((await create({ token_format: "jwt", ...body })).json.token);

  it("are known by their signature, expire, and are granted by aud or scopes", async () => {
    const token = await mintJwt({ claims: { role: "x" }, seconds_until_expiration: 60 });
    const { json } = await verify({ token });
    expect(json).toMatchObject({ subject: emulator.machine("billing").id, revoked: false, last_used_at: null });
    expect(json.claims).toMatchObject({ role: "x" });
    expect(await verifyStatus(emulator, "reports", token)).toBe(200);
    const tampered = token.replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"x"}').toString("base64url")}.`);
    expect((await verify({ token: tampered })).status).toBe(404);
    emulator.control.clock.advance(60_000);
    expect((await verify({ token })).status).toBe(404);
  });

  it("without a grant to the machine are refused to it and shown to the instance", async () => {
    const token = await mintJwt({ claims: { aud: "convex" } });
    expect((await verify({ token })).status).toBe(404);
    const { status } = await raw(emulator, "POST /m2m_tokens/verify", { key: emulator.instanceKey, body: { token } });
    expect(status).toBe(200);
    const { id } = emulator.machine("reports");
    const scoped = await mintJwt({ claims: { aud: "convex", scopes: `other ${id}` } });
    expect(await verifyStatus(emulator, "reports", scoped)).toBe(200);
  });

  it("cannot be listed or revoked", async () => {
    const created = await create({ token_format: "jwt" });
    const subject = emulator.machine("billing").id;
    expect((await raw(emulator, `GET /m2m_tokens?subject=${subject}`, { key: billing })).json.total_count).toBe(0);
    expect((await revoke(String(created.json.id))).codes).toEqual(["resource_not_found"]);
  });

  it("of another emulator are not known", async () => {
    const other = await startEmulator({ seed: { instance: { id: emulator.instanceId }, machines: [{ name: "x" }] } });
    const body = { token: await mintJwt() };
    expect((await raw(other, "POST /m2m_tokens/verify", { key: other.instanceKey, body })).status).toBe(404);
    await other.close();
  });
});
