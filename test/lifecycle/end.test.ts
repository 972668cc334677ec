import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCallerKey, fingerprintOf } from "../../src/callers/caller-key.ts";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../src/gen/health/v1/health_pb.ts";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { until } from "../support/gateway-fixture.ts";
import { type RunningProcess, runMain, runShell } from "../support/process-fixture.ts";
import { MountedFiles } from "../tls/live-files.ts";

const LEAKED = "ak_LCWGdaM8mv8K4PC0";
/** An error that nobody handles, when the process is sent a signal that has no other meaning to it. */
const REJECTS = hook(`Promise.reject(new Error("${LEAKED}"))`);
const THROWS = hook(`throw new Error("${LEAKED}")`);

function hook(code: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(`process.on("SIGUSR2", () => { ${code}; });`)}`;
}

let emulator: Emulator;
let env: Record<string, string>;
beforeEach(async () => {
  emulator = await startEmulator();
  env = {
    GATEWAY_LISTEN: "127.0.0.1:0",
    GATEWAY_ADMIN_LISTEN: "127.0.0.1:0",
    CLERK_API_URL: emulator.url,
    CLERK_SECRET_KEY: emulator.instanceKey,
    CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
  };
});
afterEach(() => emulator.close());

async function addressesOf(gateway: RunningProcess): Promise<{ rpc: string; admin: string }> {
  const [line] = await gateway.waitFor(/^\{.*"msg":"serving".*$/m, "stderr");
  return JSON.parse(line) as { rpc: string; admin: string };
}

function clientsOf(rpc: string) {
  const sessionManager = new Http2SessionManager(rpc);
  const transport = createGrpcTransport({ baseUrl: rpc, sessionManager });
  return {
    tokens: createClient(TokenService, transport),
    health: createClient(Health, transport),
    [Symbol.dispose]: () => sessionManager.abort(),
  };
}

// Processes take their time to start on a machine that has other things to do.
const TIMEOUT = { timeout: 150_000 };

describe("the end", TIMEOUT, () => {
  it.each(["1", "2"])("POST /quit drains and exits with 0, with %s workers", async (workers) => {
    await using gateway = runMain(["serve", "--workers", workers], { env });
    const { admin } = await addressesOf(gateway);
    const quit = await fetch(`${admin}/quit`, { method: "POST" });
    expect(quit.status).toBe(200);
    const { code, stderr } = await gateway.exited;
    expect([code, stderr.includes('"msg":"stopped"')]).toEqual([0, true]);
  });

  it.each(["1", "2"])("POST /quit is an admin's where callers are told apart, with %s workers", async (workers) => {
    const [admins, verifiers] = [createCallerKey(), createCallerKey()];
    const callers = [
      { name: "job", roles: ["admin"], keys: [fingerprintOf(admins)] },
      { name: "app", roles: ["verify"], keys: [fingerprintOf(verifiers)] },
    ];
    using files = new MountedFiles({ callers: JSON.stringify({ callers }) });
    const told = { GATEWAY_CALLERS_FILE: files.path("callers"), GATEWAY_CALLERS_DEMAND_LOCAL: "true" };
    await using gateway = runMain(["serve", "--workers", workers], { env: { ...env, ...told } });
    const { admin } = await addressesOf(gateway);
    const quit = async (headers: Record<string, string>) =>
      (await fetch(`${admin}/quit`, { method: "POST", headers })).status;
    expect(await quit({})).toBe(403);
    expect(await quit({ authorization: `Bearer ${verifiers}` })).toBe(403);
    expect(await quit({ authorization: `Bearer ${createCallerKey()}` })).toBe(403);
    expect((await fetch(`${admin}/livez`)).status).toBe(200);
    expect(await quit({ authorization: `Bearer ${admins}` })).toBe(200);
    expect((await gateway.exited).code).toBe(0);
  });

  it("GATEWAY_DRAIN_DELAY_MS goes on serving between NOT_SERVING and the drain", async () => {
    await using gateway = runMain(["serve"], { env: { ...env, GATEWAY_DRAIN_DELAY_MS: "3000" } });
    const { rpc, admin } = await addressesOf(gateway);
    using clients = clientsOf(rpc);
    const { secret } = await clients.tokens.createToken({});
    const { signal } = new AbortController();
    const watch = clients.health.watch({}, { signal })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: Serving.SERVING });
    gateway.signal("SIGTERM");
    expect((await watch.next()).value).toMatchObject({ status: Serving.NOT_SERVING });
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    // Those who have not noticed yet are served, on connections that there are and on new ones.
    using late = clientsOf(rpc);
    for (const { tokens } of [clients, late]) {
      expect((await tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
    }
    await expect(watch.next()).rejects.toThrow(/shutting down|drain/i);
    expect((await gateway.exited).code).toBe(0);
  });
});

describe("an error that nobody caught", TIMEOUT, () => {
  it.each([
    ["a rejection", REJECTS],
    ["an exception", THROWS],
  ])("%s is logged without its secrets, the gateway drains, and the exit code tells of it", async (_what, hook) => {
    await using gateway = runMain(["serve"], { env: { ...env, NODE_OPTIONS: hook } });
    const { rpc } = await addressesOf(gateway);
    using clients = clientsOf(rpc);
    const { secret } = await clients.tokens.createToken({});
    emulator.control.faults.add({ route: "m2m_tokens.verify", answer_latency_ms: 1000 });
    const call = clients.tokens.verifyToken({ token: secret });
    await until(() => emulator.control.requests.total("m2m_tokens.verify") === 1);
    gateway.signal("SIGUSR2");
    const [answer, { code, stderr }] = await Promise.all([call, gateway.exited]);
    expect([answer.verdict, code]).toEqual([Verdict.VALID, 70]);
    const line = stderr.split("\n").find((each) => each.includes("an error was not caught"));
    expect(JSON.parse(line ?? "{}")).toMatchObject({ level: "fatal", err: { name: "Error" } });
    expect(stderr).not.toContain(LEAKED);
    expect(stderr).toContain('"msg":"stopped"');
  });

  it("in a worker ends that worker alone, and another one takes its place", async () => {
    await using gateway = runMain(["serve", "--workers", "2"], { env: { ...env, NODE_OPTIONS: REJECTS } });
    const { admin } = await addressesOf(gateway);
    const [, pid] = await gateway.waitFor(/"worker":1,"pid":(\d+)/, "stderr");
    process.kill(Number(pid), "SIGUSR2");
    await gateway.waitFor(/"worker":1,"code":70/, "stderr");
    const ready = async () => (await (await fetch(`${admin}/readyz`)).json()) as { detail: object };
    await until(async () => JSON.stringify((await ready()).detail).includes('"workers_ready":2'));
    expect((await ready()).detail).toMatchObject({ restarts: 1 });
    gateway.signal("SIGTERM");
    expect((await gateway.exited).code).toBe(0);
  });
});

describe("as process 1 of a container", TIMEOUT, () => {
  it("is ended by SIGTERM, and leaves no dead children lying about", async () => {
    // In a namespace of its own, process 1 has no default actions for signals: what it does not handle is ignored.
    const inside = "exec node dist/main.js serve --workers 2";
    const namespace = `unshare --user --map-root-user --pid --fork --kill-child --mount-proc bash -c '${inside}'`;
    await using container = runShell(`exec ${namespace}`, { env });
    const { admin } = await addressesOf(container);
    const [, pid] = await container.waitFor(/"worker":1,"pid":(\d+)/, "stderr");
    const first = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, "utf8").trim();
    const enter = (command: string) =>
      runShell(`nsenter --target ${first} --user --pid --mount --preserve-credentials ${command}`).exited;
    await enter(`kill -KILL ${pid}`);
    await container.waitFor(/"msg":"a worker ended"/, "stderr");
    const ready = async () => JSON.stringify(await (await fetch(`${admin}/readyz`)).json());
    await until(async () => (await ready()).includes('"workers_ready":2'));
    const { stdout } = await enter("ps -eo pid,stat,args");
    expect(stdout).toContain("node dist/main.js serve");
    expect(stdout.split("\n").filter((line) => /^\s*\d+ Z/.test(line))).toEqual([]);
    await enter("kill -TERM 1");
    const { code, stderr } = await container.exited;
    expect([code, stderr.includes('"msg":"stopped"')]).toEqual([0, true]);
  });
});
