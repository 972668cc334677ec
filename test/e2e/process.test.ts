import { createServer } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf } from "../rpc/fake-gateway.ts";
import { until } from "../support/gateway-fixture.ts";
import { type RunningProcess, runMain } from "../support/process-fixture.ts";

const VERIFY = "m2m_tokens.verify";
const ANYWHERE = { GATEWAY_LISTEN: "127.0.0.1:0", GATEWAY_ADMIN_LISTEN: "127.0.0.1:0", EMULATOR_LISTEN: "127.0.0.1:0" };

describe("serve", () => {
  let emulator: Emulator;
  let env: Record<string, string>;
  beforeEach(async () => {
    emulator = await startEmulator();
    env = {
      ...ANYWHERE,
      CLERK_API_URL: emulator.url,
      CLERK_SECRET_KEY: emulator.instanceKey,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
    };
  });
  afterEach(() => emulator.close());

  /** Where a gateway that runs says that it serves. */
  async function addressesOf(gateway: RunningProcess): Promise<{ rpc: string; admin: string }> {
    const [line] = await gateway.waitFor(/^\{.*"msg":"serving".*$/m, "stderr");
    return JSON.parse(line) as { rpc: string; admin: string };
  }

  /** A verification that the upstream has begun and holds back. */
  async function heldVerify(rpc: string, hold: { answer_latency_ms: number } | { hang: true }, signal?: AbortSignal) {
    const tokens = createClient(TokenService, createGrpcTransport({ baseUrl: rpc }));
    const { secret } = await tokens.createToken({});
    emulator.control.faults.add({ route: VERIFY, ...hold });
    const answer = tokens.verifyToken({ token: secret }, signal === undefined ? {} : { signal });
    await until(() => emulator.control.requests.total(VERIFY) === 1);
    return { answer };
  }

  it("answers /livez, /readyz and /metrics", async () => {
    await using gateway = runMain(["serve"], { env });
    const { admin } = await addressesOf(gateway);
    expect((await fetch(`${admin}/livez`)).status).toBe(200);
    const ready = await fetch(`${admin}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ ready: true, detail: { state: "synced" } });
    const metrics = await fetch(`${admin}/metrics`);
    expect(metrics.headers.get("content-type")).toContain("text/plain");
    expect(await metrics.text()).toContain("m2m_gateway_");
  });

  it("on SIGTERM turns unready, ends streams with DRAINING, answers what is in flight, and exits with 0", async () => {
    await using gateway = runMain(["serve"], { env });
    const { rpc, admin } = await addressesOf(gateway);
    const revocations = createClient(RevocationService, createGrpcTransport({ baseUrl: rpc }));
    const watch = revocations.watchRevocations({})[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ event: { case: "snapshotComplete" } });
    const verify = await heldVerify(rpc, { answer_latency_ms: 1500 });

    gateway.signal("SIGTERM");
    const failure = await failureOf(watch.next());
    expect(failure).toMatchObject({ reason: "DRAINING", metadata: { cursor: expect.stringMatching(/\.\d+-\d+$/) } });
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    expect((await fetch(`${admin}/livez`)).status).toBe(200);
    expect(await verify.answer).toMatchObject({ verdict: Verdict.VALID });

    const { code, stderr } = await gateway.exited;
    expect(code).toBe(0);
    expect(stderr).toContain('"msg":"stopped"');
    const keys = [emulator.instanceKey, emulator.machine("billing").secretKey];
    for (const secret of [...keys, ...emulator.control.tokens().map((token) => token.secret)]) {
      expect(stderr.includes(secret)).toBe(false);
    }
  });

  it("on a second SIGTERM waits for nothing", async () => {
    const patient = { GATEWAY_DRAIN_GRACE_MS: "300000", CLERK_TIMEOUT_MS: "60000", CLERK_ATTEMPT_TIMEOUT_MS: "60000" };
    await using gateway = runMain(["serve"], { env: { ...env, ...patient } });
    const { rpc } = await addressesOf(gateway);
    const leaving = new AbortController();
    const verify = await heldVerify(rpc, { hang: true }, leaving.signal);
    const failure = failureOf(verify.answer);
    gateway.signal("SIGTERM");
    await gateway.waitFor(/"msg":"draining"/, "stderr");
    gateway.signal("SIGTERM");
    expect((await gateway.exited).code).toBe(143);
    // connect-node does not always notice that a peer which said GOAWAY is gone.
    leaving.abort();
    await failure;
  });

  it("lists every problem of its configuration and exits with 2", async () => {
    const wrong = { GATEWAY_LISTEN: "nowhere", CLERK_TIMEOUT_MS: "soon", GATEWAY_VERDICT_TTL: "5" };
    await using gateway = runMain(["serve"], { env: wrong });
    const { code, stdout, stderr } = await gateway.exited;
    expect(code).toBe(2);
    expect(stdout).toBe("");
    for (const name of [...Object.keys(wrong), "CLERK_MACHINE_SECRET_KEY"]) expect(stderr).toContain(name);
    expect(stderr).not.toContain("    at ");
  });

  it.each(["GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN"])(
    "says so when the port of %s is in use, and exits with 3",
    async (name) => {
      const { host } = new URL(emulator.url);
      await using gateway = runMain(["serve"], { env: { ...env, [name]: host } });
      const { code, stderr } = await gateway.exited;
      expect(code).toBe(3);
      expect(stderr).toContain(`${host} is in use`);
      expect(stderr).not.toContain("    at ");
    },
  );
});

describe("dev --output json", () => {
  it("prints one line with where everything is, once all of it answers", async () => {
    const args = ["--listen", "--admin-listen", "--emulator-listen"].flatMap((flag) => [flag, "127.0.0.1:0"]);
    await using dev = runMain(["dev", "--output", "json", ...args]);
    const [line] = await dev.waitFor(/^.*\n/);
    const ready = JSON.parse(line) as Record<"rpc" | "admin" | "emulator" | "instance_key", string> & {
      machines: Record<"name" | "id" | "secret_key", string>[];
    };
    const url = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/);
    const machine = { id: expect.stringMatching(/^mch_\w{27}$/), secret_key: expect.stringMatching(/^ak_/) };
    expect(ready).toStrictEqual({
      rpc: url,
      admin: url,
      emulator: url,
      instance_key: expect.stringMatching(/^sk_/),
      machines: [
        { name: "billing", ...machine },
        { name: "reports", ...machine },
      ],
    });
    expect((await fetch(`${ready.admin}/readyz`)).status).toBe(200);
    const headers = { authorization: `Bearer ${ready.instance_key}` };
    expect((await fetch(`${ready.emulator}/v1/machines`, { headers })).status).toBe(200);
    const tokens = createClient(TokenService, createGrpcTransport({ baseUrl: ready.rpc }));
    const { token, secret } = await tokens.createToken({});
    expect(token?.subject).toBe(ready.machines[0]?.id);
    expect(await tokens.verifyToken({ token: secret })).toMatchObject({ verdict: Verdict.VALID });

    dev.signal("SIGTERM");
    const { code, stdout } = await dev.exited;
    expect(code).toBe(0);
    expect(stdout).toBe(line);
  });

  it.each(["GATEWAY_LISTEN", "EMULATOR_LISTEN"])("exits with 3 when the port of %s is in use", async (name) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = taken.address();
    const host = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    try {
      await using dev = runMain(["dev", "--output", "json"], { env: { ...ANYWHERE, [name]: host } });
      const { code, stdout, stderr } = await dev.exited;
      expect(code).toBe(3);
      expect(stdout).toBe("");
      expect(stderr).toContain(`${host} is in use`);
    } finally {
      taken.close();
    }
  });
});

describe("emulator", () => {
  it("prints where it is and its keys, and every call that it prints works", async () => {
    await using emulator = runMain(["emulator", "--listen", "127.0.0.1:0"]);
    await emulator.waitFor(/Stop with Ctrl-C/);
    const page = emulator.stdout();
    expect(page).toMatch(/CLERK_API_URL=http:\/\/127\.0\.0\.1:\d+\n/);
    expect(page).toMatch(/CLERK_SECRET_KEY=sk_\w+\n/);
    const calls = [...page.matchAll(/^ +curl -s (\S+)(?: -H 'authorization: (.*)')?$/gm)];
    const statuses = calls.map(async ([, url = "", authorization = ""]) => {
      const response = await fetch(url, { headers: { authorization } });
      return `${new URL(url).pathname} ${response.status}`;
    });
    expect(calls).toHaveLength(2);
    for (const status of await Promise.all(statuses)) expect(status).toMatch(/ 200$/);

    emulator.signal("SIGINT");
    expect((await emulator.exited).code).toBe(0);
  });
});

describe("config check", () => {
  const secrets = {
    CLERK_MACHINE_SECRET_KEY: "ak_madeUpMachineKey123456789",
    CLERK_SECRET_KEY: "sk_test_madeUpInstanceKey123",
  };

  it.concurrent.each(["text", "json"])("shows the settings but no secret, as %s", async (output) => {
    await using check = runMain(["config", "check", "--output", output], { env: { ...ANYWHERE, ...secrets } });
    const { code, stdout, stderr } = await check.exited;
    expect(code).toBe(0);
    expect(stdout).toContain("CLERK_MACHINE_SECRET_KEY");
    expect(stdout).toContain("127.0.0.1:0");
    for (const secret of Object.values(secrets)) expect(`${stdout}${stderr}`).not.toContain(secret.slice(8));
  });
});
