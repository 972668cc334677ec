import { create, toJson } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { Fields } from "../../src/console/json.ts";
import { statusOf } from "../../src/console/status.ts";
import { FreshnessState, GetStatusResponseSchema } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { Source, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";

const AT_MS = Date.parse("2026-05-12T10:00:00Z");

it("reads every field that it shows from the JSON of the generated message", () => {
  const status = create(GetStatusResponseSchema, {
    version: "1.2.3",
    replica: "a",
    startTime: timestampFromMs(AT_MS),
    freshness: {
      state: FreshnessState.NOT_SERVING,
      cursor: "e.1-0",
      staleness: durationFromMs(1_500),
      worstStaleness: durationFromMs(2_000),
      bound: durationFromMs(1_000),
    },
    cache: { knownEntries: 5n, refusedEntries: 2n, hits: 90n, misses: 10n, evictions: 1n },
    upstream: {
      url: "https://api.clerk.com",
      reachable: true,
      lastFailureReason: "UPSTREAM_TIMEOUT",
      requests: { verify: 8n, create: 2n },
      failures: { verify: 1n },
      retries: 3n,
      shed: 4n,
      inFlight: 5n,
      queued: 6n,
    },
    revocations: { live: 1n, unrecorded: 2n, watchers: 3n },
    spend: { spentUsdMicros: 1_000_000n, savedUsdMicros: 2_500_000n },
    verifications: [{ verdict: Verdict.VALID, source: Source.MEMORY, count: 90n }],
    calls: [{ service: "s", method: "m", codes: { OK: 7n }, durations: [1n, 6n] }],
    durationBounds: [{ seconds: 0n, nanos: 100_000 }, durationFromMs(2_500)],
    recentErrors: [{ method: "m", code: "INTERNAL", reason: "INTERNAL", count: 2n, lastTime: timestampFromMs(AT_MS) }],
    fleet: {
      replicas: [{ name: "b", cursor: "e.1-0", silence: durationFromMs(250) }],
      readTime: timestampFromMs(AT_MS),
    },
    workers: { configured: 4, reporting: 3, restarts: 1n },
    access: { caller: "ops", roles: ["watch"] },
  });
  expect(statusOf(new Fields(toJson(GetStatusResponseSchema, status)))).toEqual({
    version: "1.2.3",
    replica: "a",
    startedAtMs: AT_MS,
    freshness: { state: "NOT_SERVING", cursor: "e.1-0", stalenessMs: 1_500, worstStalenessMs: 2_000, boundMs: 1_000 },
    cache: { entries: 7, hits: 90, misses: 10, evictions: 1 },
    upstream: {
      url: "https://api.clerk.com",
      isReachable: true,
      lastFailureReason: "UPSTREAM_TIMEOUT",
      requests: 10,
      failures: 1,
      retries: 3,
      shed: 4,
      inFlight: 5,
      queued: 6,
    },
    revocations: { live: 1, unrecorded: 2, watchers: 3 },
    spend: { spentUsd: 1, savedUsd: 2.5 },
    verifications: [{ verdict: "VALID", source: "MEMORY", count: 90 }],
    calls: [{ service: "s", method: "m", codes: new Map([["OK", 7]]), durations: [1, 6] }],
    durationBoundsMs: [0.1, 2_500],
    errors: [{ method: "m", code: "INTERNAL", reason: "INTERNAL", count: 2, firstAtMs: 0, lastAtMs: AT_MS }],
    fleet: { replicas: [{ name: "b", cursor: "e.1-0", silenceMs: 250, isSelf: false }], readAtMs: AT_MS },
    workers: { configured: 4, reporting: 3, restarts: 1 },
    roles: ["watch"],
  });
});

it("takes what is missing or of another type for zero, and breaks on nothing", () => {
  const odd = { calls: "none", cache: [1], freshness: null, verifications: [7, null], startTime: {} };
  for (const json of [undefined, null, 3, {}, odd]) {
    expect(statusOf(new Fields(json)).cache).toEqual({ entries: 0, hits: 0, misses: 0, evictions: 0 });
  }
});
