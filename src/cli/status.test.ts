import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cli, startCli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import {
  FreshnessState,
  type GetStatusResponse,
  GetStatusResponseSchema,
} from "../gen/m2mgateway/v1/gateway_service_pb.ts";

const HOUR_MS = 3_600_000;

function sample(): GetStatusResponse {
  return create(GetStatusResponseSchema, {
    version: "0.1.0\u001b[2J",
    replica: "replica-1",
    startTime: timestampFromMs(Date.now() - 3 * HOUR_MS - 30_000),
    freshness: {
      state: FreshnessState.SYNCED,
      cursor: "e.7-0",
      staleness: durationFromMs(20),
      worstStaleness: durationFromMs(310),
      bound: durationFromMs(1000),
    },
    cache: { knownEntries: 1200n, refusedEntries: 3n, hits: 9750n, misses: 250n, joined: 40n, evictions: 0n },
    upstream: {
      url: "https://api.clerk.com",
      reachable: false,
      lastFailureReason: "UPSTREAM_TIMEOUT",
      requests: { verify: 211n, create: 2n, list: 0n },
      failures: {},
      retries: 1n,
      shed: 0n,
      inFlight: 4n,
      queued: 5n,
    },
    revocations: { live: 12n, unrecorded: 1n, watchers: 2n, slowConsumers: 0n },
    pool: { tokens: 2n, hits: 300n, joined: 20n, creations: 3n, renewals: 4n, failures: 1n, evictions: 5n },
    spend: {
      creations: 2n,
      savedCreations: 320n,
      verifications: 210n,
      savedVerifications: 9790n,
      spentUsdMicros: 4100n,
      savedUsdMicros: 1_097_900n,
    },
  });
}

describe("status", () => {
  let gateway: FakeGateway;
  let answers: number;
  let failing: boolean;
  let env: Record<string, string>;

  beforeEach(async () => {
    answers = 0;
    failing = false;
    gateway = await FakeGateway.start({
      gateway: {
        getStatus() {
          answers += 1;
          if (failing) {
            throw new ConnectError("draining", Code.Unavailable);
          }
          return sample();
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(async () => {
    vi.useRealTimers();
    await gateway.close();
  });

  it("prints a page that people can read", async () => {
    const { code, out, err } = await cli(["status"], { env });
    expect(code).toBe(0);
    expect(err).toBe("");
    for (const part of [
      "m2m-gateway 0.1.0[2J\n",
      "(3h ago)",
      "SYNCED",
      "20ms now, 310ms at worst",
      "97.5 %",
      "1,200 known, 3 refused",
      "UPSTREAM_TIMEOUT",
      "create 2, verify 211",
      "4 in flight, 5 queued",
      "$0.0041 on 2 creations and 210 verifications",
      "2 held (5 pushed out)",
      "300 from memory, 20 with another's creation",
      "3 awaited, 4 ahead of need",
      "$1.0979 on 320 creations and 9,790 verifications",
    ]) {
      expect(out).toContain(part);
    }
    expect(out).not.toContain("\u001b");
  });

  it("prints one JSON object", async () => {
    const { code, out } = await cli(["status", "--output", "json"], { env });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ replica: "replica-1", freshness: { state: "FRESHNESS_STATE_SYNCED" } });
  });

  it("says what it can of a gateway that says little", async () => {
    const bare = await FakeGateway.start({ gateway: { getStatus: () => ({ version: "0.2.0", cache: {} }) } });
    const { code, out } = await cli(["status"], { env: { GATEWAY_URL: bare.url } });
    await bare.close();
    expect(code).toBe(0);
    expect(out).toContain("m2m-gateway 0.2.0");
    expect(out).toContain("none yet");
  });

  it("looks again every two seconds with --watch, past a failure, and ends with exit code 0 when interrupted", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const call = startCli(["status", "--watch", "--output", "json"], { env });
    await vi.waitFor(() => expect(call.out().split("\n")).toHaveLength(2), { interval: 1 });
    failing = true;
    await vi.advanceTimersByTimeAsync(2000);
    await vi.waitFor(() => expect(call.err()).toContain("error: draining (UNAVAILABLE)"), { interval: 1 });
    failing = false;
    await vi.advanceTimersByTimeAsync(2000);
    await vi.waitFor(() => expect(call.out().split("\n")).toHaveLength(3), { interval: 1 });
    call.interrupt();
    expect(await call.exit).toBe(0);
    expect(answers).toBe(3);
  });

  it("fails at once when the first look of a watch fails", async () => {
    failing = true;
    expect(await cli(["status", "--watch"], { env })).toMatchObject({ code: 3, out: "" });
  });
});
