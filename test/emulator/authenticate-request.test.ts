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

function _instanceClient() {
  return createClerkClient({ apiUrl: emulator.url, secretKey: emulator.instanceKey, publishableKey: PUBLISHABLE_KEY });
}

const PUBLISHABLE_KEY = `pk_test_${Buffer.from("emulator.clerk.accounts.dev$").toString("base64")}`;

describe("authenticateRequest({ acceptsToken: 'm2m_token' })", () => {
  function authenticate(machine: string, token: string | undefined) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const client = createClerkClient({
      apiUrl: emulator.url,
      secretKey: emulator.instanceKey,
      publishableKey: PUBLISHABLE_KEY,
      machineSecretKey: emulator.machine(machine).secretKey,
    });
    return client.authenticateRequest(new Request("http://reports.internal/", { headers }), {
      acceptsToken: "m2m_token",
    });
  }

  it("signs in the bearer of an opaque token granted to this machine", async () => {
    const { token, id } = await clientOf("billing").m2m.createToken({ claims: { role: "nightly" } });
    const state = await authenticate("reports", token);
    expect(state.status).toBe("signed-in");
    const { id: billingId } = emulator.machine("billing");
    expect(state.toAuth()).toMatchObject({
      tokenType: "m2m_token",
      isAuthenticated: true,
      id,
      subject: billingId,
      machineId: billingId,
      claims: { role: "nightly" },
    });
  });

  it("signs in the bearer of a JWT without asking for a verification", async () => {
    const { token, id } = await clientOf("billing").m2m.createToken({ tokenFormat: "jwt" });
    const state = await authenticate("reports", token);
    expect(state.status).toBe("signed-in");
    expect(state.toAuth()).toMatchObject({ id, isAuthenticated: true });
    expect(emulator.control.requests.total("m2m_tokens.verify")).toBe(0);
  });

  it("says token-invalid of a token that is unknown, revoked, expired or not granted", async () => {
    const billing = clientOf("billing");
    const revoked = await billing.m2m.createToken();
    await billing.m2m.revokeToken({ m2mTokenId: revoked.id });
    const expired = await billing.m2m.createToken({ secondsUntilExpiration: 5 });
    emulator.control.clock.advance(5000);
    const notGranted = await clientOf("reports").m2m.createToken();
    for (const token of ["mt_unknown", revoked.token, expired.token, notGranted.token]) {
      expect(await authenticate("reports", token)).toMatchObject({
        status: "signed-out",
        reason: "token-invalid",
        message: expect.stringContaining("Machine token not found"),
      });
    }
  });

  it("says secret-key-invalid once the machine's key is gone", async () => {
    const { token } = await clientOf("billing").m2m.createToken();
    emulator.control.faults.add({ route: "m2m_tokens.verify", code: "machine_secret_key_invalid", count: 1 });
    expect(await authenticate("reports", token)).toMatchObject({
      status: "signed-out",
      reason: "secret-key-invalid",
      message: expect.stringContaining("The provided Machine Secret Key is invalid"),
    });
  });

  it.each([400, 403, 422, 429, 500])("says unexpected-error of a %i", async (status) => {
    emulator.control.faults.add({ route: "m2m_tokens.verify", status });
    expect(await authenticate("reports", "mt_any")).toMatchObject({
      status: "signed-out",
      reason: "unexpected-error",
      message: expect.stringContaining("Unexpected error"),
    });
  });

  it("signs in the bearer of a revoked token if the answer is 200 all the same, and so the default refuses", async () => {
    const billing = clientOf("billing");
    const { token, id } = await billing.m2m.createToken();
    await billing.m2m.revokeToken({ m2mTokenId: id });
    emulator.control.switches.set({ verify_dead_tokens: "answer" });
    expect((await authenticate("reports", token)).status).toBe("signed-in");
    emulator.control.switches.reset();
    expect((await authenticate("reports", token)).status).toBe("signed-out");
  });

  it("signs nobody in without a token", async () => {
    expect(await authenticate("reports", undefined)).toMatchObject({ status: "signed-out" });
  });
});
