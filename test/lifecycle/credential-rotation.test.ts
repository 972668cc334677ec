import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { HealthCheckResponse_ServingStatus as Serving } from "../../src/gen/health/v1/health_pb.ts";
import { FreshnessState } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf } from "../rpc/fake-gateway.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import type { RedisFixture } from "../support/redis/redis-server-fixture.ts";
import { startRedis } from "../support/redis/start-redis.ts";
import { MountedFiles } from "../tls/live-files.ts";

const VERIFY = "m2m_tokens.verify";
let emulator: Emulator;
beforeEach(async () => {
  const machines = [{ name: "billing", scoped_machines: ["billing"] }, { name: "reports" }];
  emulator = await startEmulator({ seed: { machines } });
});
afterEach(() => emulator.close());

const keyOf = (machine: string) => emulator.machine(machine).secretKey;

/** A gateway whose keys are in files that are looked at ten times a second. */
function start(files: MountedFiles, env: Record<string, string> = {}): Promise<GatewayFixture> {
  return startGatewayFixture({
    env: {
      CLERK_API_URL: emulator.url,
      CLERK_MACHINE_SECRET_KEY: "",
      CLERK_MACHINE_SECRET_KEY_FILE: files.path("machine"),
      CLERK_SECRET_KEY: "",
      CLERK_SECRET_KEY_FILE: files.path("instance"),
      GATEWAY_RELOAD_INTERVAL_MS: "100",
      ...env,
    },
  });
}

function keys(machine: string, instance = emulator.instanceKey): { machine: string; instance: string } {
  return { machine: `${machine}\n`, instance };
}

async function rotate(files: MountedFiles, gateway: GatewayFixture, machine: string, instance?: string): Promise<void> {
  const reloads = () => gateway.logLines.filter((line) => line.includes('"reloaded"')).length;
  const before = reloads();
  files.replace(keys(machine, instance));
  await until(() => reloads() > before);
}

/** The upstream's own rotation: the key before dies at once. */
async function newKeyFor(machine: string): Promise<string> {
  const { id } = emulator.machine(machine);
  const response = await fetch(`${emulator.url}/v1/machines/${id}/secret_key/rotate`, {
    method: "POST",
    headers: { authorization: `Bearer ${emulator.instanceKey}`, "content-type": "application/json" },
    body: '{"previous_token_ttl":0}',
  });
  return ((await response.json()) as { secret: string }).secret;
}

async function metric({ adminUrl }: GatewayFixture, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`m2m_gateway_${name} `));
  return Number(line?.slice(line.lastIndexOf(" ")));
}

describe("a key in a file", () => {
  it("is used from its rotation on, without a restart", async () => {
    using files = new MountedFiles(keys(keyOf("billing")));
    await using gateway = await start(files);
    const { secret } = await gateway.mint();
    await gateway.tokens.verifyToken({ token: secret });
    await rotate(files, gateway, await newKeyFor("billing"));
    expect((await gateway.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
    expect((await gateway.mint()).id).toMatch(/^mt_/);
    expect(gateway.logLines.join()).not.toContain(keyOf("billing"));
  });

  it("gives nothing that it obtained to another machine's key, in memory or in Redis, and back", async () => {
    const redis: RedisFixture = await startRedis("single");
    try {
      using files = new MountedFiles(keys(keyOf("billing")));
      const { host, port } = (redis.target.nodes as readonly { host: string; port: number }[])[0] ?? {};
      await using gateway = await start(files, {
        GATEWAY_REDIS_URL: `redis://${host}:${port}`,
        // On a busy machine too.
        GATEWAY_REDIS_VERDICT_BUDGET_MS: "1000",
        GATEWAY_VERDICT_TTL_MS: "600000",
      });
      // Granted to the machine that minted it, and to no other.
      const { secret } = await gateway.mint();
      const verify = async () => {
        const { verdict, source } = await gateway.tokens.verifyToken({ token: secret });
        return [Verdict[verdict], Source[source]];
      };
      await until(async () => (await gateway.gateway.getStatus({})).freshness?.state === FreshnessState.SYNCED);
      await verify();
      expect(await verify()).toEqual(["VALID", "MEMORY"]);
      await rotate(files, gateway, keyOf("reports"));
      expect((await verify())[0]).toBe("INVALID");
      await rotate(files, gateway, keyOf("billing"));
      // What the replicas share under this key is still right.
      expect(await verify()).toEqual(["VALID", "REDIS"]);
      // That another machine may not see a token does not revoke it.
      expect((await gateway.revocations.listRevocations({})).revocations).toEqual([]);
    } finally {
      await redis.stop();
    }
  });

  it("keeps the facts: a token revoked before a rotation is revoked after it", async () => {
    using files = new MountedFiles(keys(keyOf("billing")));
    await using gateway = await start(files);
    const { id, secret } = await gateway.mint();
    await gateway.tokens.revokeToken({ target: { case: "tokenId", value: id } });
    await rotate(files, gateway, await newKeyFor("billing"));
    expect((await gateway.tokens.verifyToken({ token: secret })).verdict).not.toBe(Verdict.VALID);
    expect((await gateway.revocations.listRevocations({})).revocations.map(({ tokenId }) => tokenId)).toEqual([id]);
  });

  it.each([
    ["is empty", ""],
    ["holds another kind of key", "sk_test_0a1B2c3D4e5F6g7H8i9J"],
    ["holds two lines", "ak_a\nak_b\n"],
  ])("that %s is refused, loudly, and the one before stays", async (_what, text) => {
    using files = new MountedFiles(keys(keyOf("billing")));
    await using gateway = await start(files);
    files.replace({ machine: text, instance: emulator.instanceKey });
    await until(() => gateway.logLines.some((line) => line.includes("files were not reloaded")));
    expect((await gateway.mint()).id).toMatch(/^mt_/);
    expect(await metric(gateway, 'reload_refused{files="upstream_key"}')).toBe(1);
    expect(gateway.logLines.join()).not.toContain("0a1B2c3D4e5F6g7H8i9J");
    await rotate(files, gateway, keyOf("billing"));
    expect(await metric(gateway, 'reload_refused{files="upstream_key"}')).toBe(0);
  });
});

describe("a key that the upstream rejects", () => {
  it("is seen in the log, the metrics, the health and the status until another one takes its place", async () => {
    using files = new MountedFiles(keys(keyOf("billing")));
    await using gateway = await start(files);
    const { secret } = await gateway.mint();
    const key = await newKeyFor("billing");
    const failure = await failureOf(gateway.tokens.verifyToken({ token: secret }));
    expect(failure).toMatchObject({ code: Code.Internal, reason: "UPSTREAM_CREDENTIAL_REJECTED" });
    const health = async () => (await gateway.health.check({ service: "m2mgateway.credential" })).status;
    const ready = async () => await (await fetch(`${gateway.adminUrl}/readyz`)).json();

    await until(async () => (await health()) === Serving.NOT_SERVING);
    expect(await ready()).toMatchObject({ ready: true, detail: { state: "degraded", rejected_keys: "machine" } });
    expect(await metric(gateway, 'upstream_credential_rejected{key="machine"}')).toBe(1);
    const { upstream, freshness } = await gateway.gateway.getStatus({});
    expect([upstream?.rejectedKeys, freshness?.state]).toEqual([["machine"], FreshnessState.DEGRADED]);
    expect(gateway.logLines.filter((line) => line.includes("the upstream rejects the gateway's key"))).toHaveLength(1);

    await rotate(files, gateway, key);
    await until(async () => (await health()) === Serving.SERVING);
    expect(await ready()).toMatchObject({ detail: { state: "synced" } });
    expect(await metric(gateway, 'upstream_credential_rejected{key="machine"}')).toBe(0);
    expect((await gateway.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
  });

  it("is forgiven with the next request that the upstream accepts", async () => {
    using files = new MountedFiles(keys(keyOf("billing")));
    await using gateway = await start(files);
    emulator.control.faults.add({ route: VERIFY, status: 401, count: 1 });
    const { secret } = await gateway.mint();
    await failureOf(gateway.tokens.verifyToken({ token: secret }));
    expect(await metric(gateway, 'upstream_credential_rejected{key="machine"}')).toBe(1);
    await gateway.tokens.verifyToken({ token: secret });
    expect(await metric(gateway, 'upstream_credential_rejected{key="machine"}')).toBe(0);
  });
});
