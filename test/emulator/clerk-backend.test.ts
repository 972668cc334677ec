import { createClerkClient } from "@clerk/backend";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";

let emulator: Emulator;

beforeAll(async () => {
  vi.stubEnv("CLERK_TELEMETRY_DISABLED", "1");
  emulator = await startEmulator();
});

beforeEach(() => emulator.reset());

afterAll(async () => {
  await emulator.close();
  vi.unstubAllEnvs();
});

/** An SDK client as a service of that machine would make it. */
function clientOf(machine: string) {
  return createClerkClient({ apiUrl: emulator.url, machineSecretKey: emulator.machine(machine).secretKey });
}

function instanceClient() {
  return createClerkClient({ apiUrl: emulator.url, secretKey: emulator.instanceKey, publishableKey: PUBLISHABLE_KEY });
}

const PUBLISHABLE_KEY = `pk_test_${Buffer.from("emulator.clerk.accounts.dev$").toString("base64")}`;

/** What the SDK throws, in its own terms. */
async function thrownBy(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error;
}

describe("m2m methods of @clerk/backend", () => {
  it("create, verify, list and revoke an opaque token", async () => {
    const billing = clientOf("billing");
    const reports = clientOf("reports");
    const { id: billingId } = emulator.machine("billing");
    const { id: reportsId } = emulator.machine("reports");

    const created = await billing.m2m.createToken({ claims: { role: "nightly", Mixed_Case: { a: [1] } } });
    expect(created).toMatchObject({
      id: expect.stringMatching(/^mt_[0-9a-f]{32}$/),
      token: expect.stringMatching(/^mt_[0-9A-Za-z]{48}$/),
      subject: billingId,
      scopes: [billingId, reportsId],
      claims: { role: "nightly", Mixed_Case: { a: [1] } },
      revoked: false,
      revocationReason: null,
      expired: false,
      createdAt: expect.any(Number),
      updatedAt: expect.any(Number),
    });
    expect(Number(created.expiration) - created.createdAt).toBe(3_600_000);

    const verified = await reports.m2m.verify({ token: created.token ?? "" });
    expect(verified).toMatchObject({
      id: created.id,
      subject: billingId,
      claims: created.claims,
      scopes: created.scopes,
    });
    expect(verified.token).toBeUndefined();

    const listed = await billing.m2m.list({ subject: billingId });
    expect(listed.totalCount).toBe(1);
    expect(listed.data.map(({ id }) => id)).toEqual([created.id]);

    const revoked = await billing.m2m.revokeToken({ m2mTokenId: created.id, revocationReason: "leaked" });
    expect(revoked).toMatchObject({ id: created.id, revoked: true, revocationReason: "leaked" });
    expect(await thrownBy(reports.m2m.verify({ token: created.token ?? "" }))).toMatchObject({ status: 404 });
    expect((await billing.m2m.list({ subject: billingId })).totalCount).toBe(0);
    expect((await billing.m2m.list({ subject: billingId, revoked: true })).totalCount).toBe(1);
  });

  it("take a machine key per call in place of the client's", async () => {
    const client = instanceClient();
    const { secretKey: machineSecretKey, id } = emulator.machine("reports");
    const created = await client.m2m.createToken({ machineSecretKey, secondsUntilExpiration: 60 });
    expect(created.subject).toBe(id);
    expect(Number(created.expiration) - created.createdAt).toBe(60_000);
    const verified = await client.m2m.verify({ token: created.token ?? "" });
    expect(verified.id).toBe(created.id);
    expect((await client.m2m.revokeToken({ m2mTokenId: created.id })).revocationReason).toBeNull();
  });

  it("page through the tokens of a machine, newest first", async () => {
    const billing = clientOf("billing");
    const subject = emulator.machine("billing").id;
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.unshift((await billing.m2m.createToken()).id);
    const first = await billing.m2m.list({ subject, limit: 3 });
    const second = await billing.m2m.list({ subject, limit: 3, offset: 3 });
    expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(ids);
    expect([first.totalCount, second.totalCount]).toEqual([5, 5]);
  });

  it("reuse a live token when minRemainingTtlSeconds allows it", async () => {
    const billing = clientOf("billing");
    const first = await billing.m2m.createToken({ claims: { a: 1, b: 2 } });
    const again = await billing.m2m.createToken({ claims: { b: 2, a: 1 }, minRemainingTtlSeconds: 60 });
    expect([again.id, again.token]).toEqual([first.id, first.token]);
  });

  it("create a JWT that the SDK verifies by itself with the instance's key set", async () => {
    const { id, secretKey: machineSecretKey } = emulator.machine("billing");
    const client = instanceClient();
    const created = await client.m2m.createToken({ machineSecretKey, tokenFormat: "jwt", claims: { role: "nightly" } });
    const calls = emulator.control.requests.total("m2m_tokens.verify");
    const verified = await client.m2m.verify({ token: created.token ?? "" });
    expect(emulator.control.requests.total("m2m_tokens.verify")).toBe(calls);
    expect(verified).toMatchObject({
      id: created.id,
      subject: id,
      scopes: created.scopes,
      claims: { role: "nightly" },
      expiration: created.expiration,
      createdAt: created.createdAt,
    });
  });
});

describe("errors as @clerk/backend maps them", () => {
  it("401 for a machine key nobody has", async () => {
    const client = createClerkClient({ apiUrl: emulator.url, machineSecretKey: "ak_nobody" });
    expect(await thrownBy(client.m2m.createToken())).toMatchObject({
      status: 401,
      code: "api_response_error",
      clerkTraceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      errors: [
        { code: "machine_secret_key_invalid", message: expect.stringContaining("Machine Secret Key is invalid") },
      ],
    });
  });

  it("401 for a creation with the instance key", async () => {
    const error = await thrownBy(instanceClient().m2m.createToken());
    expect(error).toMatchObject({ status: 401, errors: [{ code: "machine_secret_key_invalid" }] });
  });

  it("403 for the tokens of another machine", async () => {
    const error = await thrownBy(clientOf("billing").m2m.list({ subject: emulator.machine("reports").id }));
    expect(error).toMatchObject({ status: 403, errors: [{ code: "authorization_invalid" }] });
  });

  it("404 for a token that is unknown, or granted to other machines only", async () => {
    const reports = clientOf("reports");
    const ofReports = await reports.m2m.createToken();
    for (const token of ["mt_unknown", ofReports.token ?? ""]) {
      const error = await thrownBy(reports.m2m.verify({ token }));
      expect(error).toMatchObject({
        status: 404,
        errors: [{ code: "resource_not_found", longMessage: "Resource not found" }],
      });
    }
  });

  it("429 with the seconds to wait", async () => {
    emulator.control.faults.add({ route: "m2m_tokens.verify", status: 429, headers: { "retry-after": "7" }, count: 1 });
    const error = await thrownBy(clientOf("billing").m2m.verify({ token: "mt_x" }));
    expect(error).toMatchObject({ status: 429, retryAfter: 7, errors: [{ code: "too_many_requests" }] });
  });

  it("500 with the trace id of the answer", async () => {
    emulator.control.faults.add({ status: 500, count: 1 });
    const error = await thrownBy(clientOf("billing").m2m.createToken());
    expect(error).toMatchObject({
      status: 500,
      clerkTraceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      errors: [{ code: "internal_clerk_error" }],
    });
  });

  it("unexpected_error for a connection that is reset, a body that is cut and one that is not JSON", async () => {
    const billing = clientOf("billing");
    for (const fault of [{ reset: true }, { truncate: 20 }, { body: '{"object":"machine_to' }]) {
      emulator.control.faults.add({ ...fault, count: 1 });
      const error = await thrownBy(billing.m2m.createToken());
      expect(error).toMatchObject({ errors: [{ code: "unexpected_error" }] });
    }
  });
});

describe("machines methods of @clerk/backend", () => {
  it("create, get, update, list and delete a machine", async () => {
    const { machines } = instanceClient();
    const { id: billingId } = emulator.machine("billing");
    const created = await machines.create({ name: "mailer", scopedMachines: [billingId], defaultTokenTtl: 120 });
    expect(created).toMatchObject({
      id: expect.stringMatching(/^mch_\w{27}$/),
      name: "mailer",
      instanceId: emulator.instanceId,
      defaultTokenTtl: 120,
      secretKey: expect.stringMatching(/^ak_/),
      scopedMachines: [expect.objectContaining({ id: billingId, name: "billing" })],
    });
    expect((await machines.get(created.id)).secretKey).toBeUndefined();
    const updated = await machines.update({ machineId: created.id, name: "post", defaultTokenTtl: 60 });
    expect(updated).toMatchObject({ id: created.id, name: "post", defaultTokenTtl: 60 });
    expect((await machines.list({ query: "pos" })).data.map(({ id }) => id)).toEqual([created.id]);
    expect((await machines.list({ query: created.id })).totalCount).toBe(1);
    const byName = await machines.list({ orderBy: "+name", limit: 2 });
    expect([byName.data.map(({ name }) => name), byName.totalCount]).toEqual([["billing", "post"], 3]);
    expect(await machines.delete(created.id)).toMatchObject({ id: created.id, deleted: true });
    expect(await thrownBy(machines.get(created.id))).toMatchObject({ status: 404 });
  });

  it("read and rotate a key, the old one staying valid as long as asked", async () => {
    const { machines } = instanceClient();
    const billing = clientOf("billing");
    const { id, secretKey } = emulator.machine("billing");
    expect((await machines.getSecretKey(id)).secret).toBe(secretKey);
    const rotated = await machines.rotateSecretKey({ machineId: id, previousTokenTtl: 60 });
    expect(rotated.secret).toBe(emulator.machine("billing").secretKey);
    expect(rotated.secret).not.toBe(secretKey);
    emulator.control.clock.advance(50_000);
    expect((await billing.m2m.createToken()).subject).toBe(id);
    emulator.control.clock.advance(10_000);
    expect(await thrownBy(billing.m2m.createToken())).toMatchObject({ status: 401 });
    expect((await clientOf("billing").m2m.createToken()).subject).toBe(id);
  });

  it("add and delete scopes, which only tokens minted from then on have", async () => {
    const { machines } = instanceClient();
    const { id: reportsId } = emulator.machine("reports");
    const reports = clientOf("reports");
    const before = await reports.m2m.createToken();
    const scope = await machines.createScope(reportsId, reportsId);
    expect(scope).toMatchObject({ fromMachineId: reportsId, toMachineId: reportsId, createdAt: expect.any(Number) });
    const after = await reports.m2m.createToken();
    expect(await thrownBy(reports.m2m.verify({ token: before.token ?? "" }))).toMatchObject({ status: 404 });
    expect((await reports.m2m.verify({ token: after.token ?? "" })).id).toBe(after.id);
    expect(await thrownBy(machines.createScope(reportsId, reportsId))).toMatchObject({ status: 409 });
    await machines.deleteScope(reportsId, reportsId);
    expect((await reports.m2m.verify({ token: after.token ?? "" })).id).toBe(after.id);
    expect((await machines.get(reportsId)).scopedMachines.map(({ name }) => name)).toEqual(["billing"]);
    expect(await thrownBy(machines.deleteScope(reportsId, reportsId))).toMatchObject({ status: 404 });
  });

  it("lose a deleted machine's key at once", async () => {
    const billing = clientOf("billing");
    await instanceClient().machines.delete(emulator.machine("billing").id);
    expect(await thrownBy(billing.m2m.createToken())).toMatchObject({ status: 401 });
  });

  it("report what is wrong with a machine under the parameter's name", async () => {
    const { machines } = instanceClient();
    expect(await thrownBy(machines.create({ name: "" }))).toMatchObject({
      status: 422,
      errors: [{ code: "form_param_value_invalid", meta: { paramName: "name" } }],
    });
    expect(await thrownBy(machines.create({ name: "x", defaultTokenTtl: 0 }))).toMatchObject({
      status: 422,
      errors: [{ meta: { paramName: "default_token_ttl" } }],
    });
  });

  it("read the key set with the instance key only", async () => {
    const { keys } = await instanceClient().jwks.getJwks();
    expect(keys).toMatchObject([{ kid: emulator.instanceId, kty: "RSA", alg: "RS256", use: "sig" }]);
    const { secretKey } = emulator.machine("billing");
    const wrong = createClerkClient({ apiUrl: emulator.url, secretKey, publishableKey: PUBLISHABLE_KEY });
    expect(await thrownBy(wrong.jwks.getJwks())).toMatchObject({ status: 401 });
  });
});
