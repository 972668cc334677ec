import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCallerKey, fingerprintOf } from "../../src/callers/caller-key.ts";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf } from "../rpc/fake-gateway.ts";
import { until } from "../support/redis/redis-process.ts";
import { type RunningWorkers, startWorkers } from "../support/workers/running-workers.ts";
import { MountedFiles } from "../tls/live-files.ts";

/** To start a process on a slow machine that has other work. */
const LONG_MS = 150_000;
/** Connections are handed out in turn, so that both workers have one. */
const CONNECTIONS = 4;

describe("serve --workers 2, with its keys and callers in files", { timeout: LONG_MS }, () => {
  const before = createCallerKey();
  const after = createCallerKey();
  const callersOf = (key: string) =>
    JSON.stringify({ callers: [{ name: "operator", roles: ["admin"], keys: [fingerprintOf(key)] }] });

  let emulator: Emulator;
  let running: RunningWorkers;
  let files: MountedFiles;
  const sessions: Http2SessionManager[] = [];

  beforeAll(async () => {
    emulator = await startEmulator();
    files = new MountedFiles({ machine: emulator.machine("billing").secretKey, callers: callersOf(before) });
    running = await startWorkers(emulator, undefined, {
      CLERK_MACHINE_SECRET_KEY: "",
      CLERK_MACHINE_SECRET_KEY_FILE: files.path("machine"),
      GATEWAY_CALLERS_FILE: files.path("callers"),
      GATEWAY_CALLERS_DEMAND_LOCAL: "true",
      GATEWAY_RELOAD_INTERVAL_MS: "100",
    });
    for (let n = 0; n < CONNECTIONS; n += 1) sessions.push(new Http2SessionManager(`http://127.0.0.1:${running.port}`));
  }, LONG_MS);
  afterAll(async () => {
    for (const session of sessions) session.abort();
    await running.process.kill();
    await emulator.close();
    files[Symbol.dispose]();
  }, LONG_MS);

  /** Of every connection to the workers, and the console's of the admin port last. */
  function tokens() {
    const baseUrl = `http://127.0.0.1:${running.port}`;
    const transports = sessions.map((sessionManager) => createGrpcTransport({ baseUrl, sessionManager }));
    const console = createConnectTransport({ baseUrl: running.admin, httpVersion: "1.1" });
    return [...transports, console].map((transport) => createClient(TokenService, transport));
  }

  const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
  const codesOf = async (key: string) => {
    const calls = tokens().map((client) => failureOf(client.verifyToken({ token: "none" }, as(key))));
    return (await Promise.all(calls)).map((failure) => failure.code);
  };

  async function newKey(): Promise<string> {
    const { id } = emulator.machine("billing");
    const response = await fetch(`${emulator.url}/v1/machines/${id}/secret_key/rotate`, {
      method: "POST",
      headers: { authorization: `Bearer ${emulator.instanceKey}`, "content-type": "application/json" },
      body: '{"previous_token_ttl":0}',
    });
    return ((await response.json()) as { secret: string }).secret;
  }

  it("takes over the upstream's new key and the new callers, in each worker and for the console", async () => {
    const [worker] = tokens();
    await worker?.createToken({}, as(before));
    for (const client of tokens()) {
      expect((await client.verifyToken({ token: "none" }, as(before))).verdict).toBe(Verdict.INVALID);
    }
    files.replace({ machine: await newKey(), callers: callersOf(after) });
    const reloads = (what: string) => running.process.stderr.split(`"files":"${what}","msg":"reloaded"`).length - 1;
    await until(
      "all three processes have the files",
      async () => reloads("callers") === 3 && reloads("upstream_key") === 3,
    );

    const { secret } = (await worker?.createToken({}, as(after))) ?? {};
    for (const client of tokens()) {
      expect((await client.verifyToken({ token: secret ?? "" }, as(after))).verdict).toBe(Verdict.VALID);
    }
    expect(new Set(await codesOf(before))).toEqual(new Set([Code.Unauthenticated]));
  });

  it("has one audit line for each call, of the worker that took it and of the console", async () => {
    const [worker, console] = [tokens()[0], tokens().at(-1)];
    const id = "mt_0123456789abcdef0123456789abcdef";
    for (const [client, name] of [
      [worker, "by-worker"],
      [console, "by-console"],
    ] as const) {
      const headers = { ...as(after).headers, "x-request-id": name };
      const call = client?.revokeToken({ target: { case: "tokenId", value: id } }, { headers });
      await failureOf(call ?? Promise.resolve());
    }
    const lines = () => running.process.stderr.split("\n").filter((line) => line.includes('"audit":true'));
    const ofCall = (name: string) => lines().filter((line) => line.includes(`"requestId":"${name}"`));
    await until("both are written", async () => ofCall("by-worker").length > 0 && ofCall("by-console").length > 0);
    expect([ofCall("by-worker").length, ofCall("by-console").length]).toEqual([1, 1]);
    for (const line of [...ofCall("by-worker"), ...ofCall("by-console")]) {
      expect(JSON.parse(line)).toMatchObject({ caller: "operator", method: "RevokeToken", code: "NOT_FOUND" });
    }
  });

  it("names at /readyz the key that the upstream rejects, until there is another one", async () => {
    const detail = async () => {
      const { detail } = (await (await fetch(`${running.admin}/readyz`)).json()) as { detail: Record<string, unknown> };
      return detail;
    };
    const call = (client = tokens()[0]) => failureOf(client?.createToken({}, as(after)) ?? Promise.resolve());
    const machine = await newKey();
    expect((await call()).code).toBe(Code.Internal);
    await until("it is named", async () => (await detail()).rejected_keys === "machine");
    files.replace({ machine, callers: callersOf(after) });
    await until("it is named no more", async () => !("rejected_keys" in (await detail())));
  });
});
