import { register } from "prom-client";
import { describe, expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";
import type { StatusSnapshot } from "./status.ts";

const NONE = { boundsMs: [1], counts: [0, 0], sumMs: 0 };

const STATUS: StatusSnapshot = {
  version: "1.2.3",
  replica: "r1",
  open: { connections: 21, streams: 22, refusedStreams: 0 },
  overload: {
    inFlight: 5,
    pendingBytes: 4096,
    loopDelayMs: 20,
    limits: { connections: 4096, in_flight: 2048 },
    refused: { connections: 11, event_loop: 12 },
  },
  spans: { exported: 91, failed: 92, dropped: 93 },
  startedAtMs: 0,
  freshness: { state: "degraded", cursor: "e.1-0", stalenessMs: 250, worstStalenessMs: 900, boundMs: 1000 },
  feed: { reads: 71, failedReads: 72, lag: { boundsMs: [1, 50], counts: [3, 2, 1], sumMs: 1234 } },
  cache: { knownEntries: 11, knownBytes: 4400, refusedEntries: 12, hits: 13, misses: 14, joined: 15, evictions: 16 },
  upstream: {
    url: "http://127.0.0.1:1",
    reachable: true,
    rejectedKeys: ["machine"],
    lastFailureReason: "",
    requests: { create: 21, keys: 0, list: 22, revoke: 23, verify: 24 },
    failures: { create: 31, keys: 0, list: 32, revoke: 33, verify: 34 },
    calls: [
      { operation: "verify", outcome: "OK", count: 81 },
      { operation: "create", outcome: "UPSTREAM_TIMEOUT", count: 82 },
    ],
    durations: {
      create: NONE,
      keys: NONE,
      list: NONE,
      revoke: NONE,
      verify: { boundsMs: [1], counts: [0, 4], sumMs: 900 },
    },
    retries: 41,
    shed: 42,
    inFlight: 43,
    queued: 44,
  },
  revocations: { live: 51, unrecorded: 52, watchers: 53, slowConsumers: 54, discovered: 3 },
  spend: {
    creations: 1,
    verifications: 2,
    savedVerifications: 3,
    savedCreations: 5,
    spentUsdMicros: 2500,
    savedUsdMicros: 1_000_000,
    renewals: 4,
  },
  pool: { tokens: 71, hits: 72, joined: 73, creations: 74, renewals: 75, failures: 76, evictions: 77 },
  calls: { durationBoundsS: [], methods: [] },
  recentErrors: [],
  verifications: [
    { verdict: "valid", source: "memory", count: 61 },
    { verdict: "revoked", source: "fact", count: 62 },
  ],
  callers: [{ name: "orders", admitted: 81, inFlight: 82 }],
  files: {
    reloads: [{ files: "tls", applied: 71, refused: 72, isRefused: true }],
    certificates: [{ certificate: "server", notAfterMs: 1_800_000_000_500 }],
  },
};

function samplesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

describe("metrics", () => {
  test("tell what the status tells, in base units", async () => {
    const samples = samplesOf(await createMetrics("1.2.3", () => STATUS).render());
    const expected: Record<string, number> = {
      'verify_total{verdict="valid",source="memory"}': 61,
      'verify_total{verdict="revoked",source="fact"}': 62,
      'upstream_requests_total{operation="verify"}': 24,
      'upstream_requests_total{operation="create"}': 21,
      'upstream_failures_total{operation="list"}': 32,
      'upstream_calls_total{operation="verify",outcome="OK"}': 81,
      'upstream_calls_total{operation="create",outcome="UPSTREAM_TIMEOUT"}': 82,
      'upstream_duration_seconds_count{operation="verify"}': 4,
      'upstream_duration_seconds_sum{operation="verify"}': 0.9,
      'upstream_duration_seconds_bucket{le="0.001",operation="verify"}': 0,
      'upstream_duration_seconds_bucket{le="+Inf",operation="verify"}': 4,
      'feed_lag_seconds_bucket{le="0.001"}': 3,
      'feed_lag_seconds_bucket{le="0.05"}': 5,
      'feed_lag_seconds_bucket{le="+Inf"}': 6,
      feed_lag_seconds_sum: 1.234,
      feed_lag_seconds_count: 6,
      'trace_spans_total{outcome="exported"}': 91,
      'trace_spans_total{outcome="failed"}': 92,
      'trace_spans_total{outcome="dropped"}': 93,
      feed_reads_total: 71,
      feed_read_failures_total: 72,
      upstream_retries_total: 41,
      upstream_shed_total: 42,
      upstream_in_flight: 43,
      upstream_queued: 44,
      upstream_reachable: 1,
      'upstream_credential_rejected{key="machine"}': 1,
      'upstream_credential_rejected{key="instance"}': 0,
      'reloads_total{files="tls",outcome="applied"}': 71,
      'reloads_total{files="tls",outcome="refused"}': 72,
      'reload_refused{files="tls"}': 1,
      'certificate_expiry_timestamp_seconds{certificate="server"}': 1_800_000_000.5,
      'caller_calls_total{caller="orders"}': 81,
      'caller_calls_in_flight{caller="orders"}': 82,
      pool_tokens: 71,
      pool_hits_total: 72,
      pool_joined_total: 73,
      'pool_creations_total{kind="awaited"}': 74,
      'pool_creations_total{kind="renewal"}': 75,
      pool_failures_total: 76,
      pool_evictions_total: 77,
      'cache_entries{kind="known"}': 11,
      'cache_entries{kind="refused"}': 12,
      cache_bytes: 4400,
      cache_hits_total: 13,
      cache_misses_total: 14,
      cache_joined_total: 15,
      cache_evictions_total: 16,
      revocations_live: 51,
      revocations_unrecorded: 52,
      watchers: 53,
      connections: 21,
      streams: 22,
      in_flight: 5,
      pending_bytes: 4096,
      event_loop_delay_seconds: 0.02,
      'limit{limit="connections"}': 4096,
      'refused_total{limit="event_loop"}': 12,
      slow_consumers_total: 54,
      staleness_seconds: 0.25,
      worst_staleness_seconds: 0.9,
      staleness_bound_seconds: 1,
      'freshness_state{state="degraded"}': 1,
      'freshness_state{state="synced"}': 0,
      'freshness_state{state="not_serving"}': 0,
      'spend_calls_total{operation="create"}': 1,
      'spend_calls_total{operation="verify"}': 2,
      'saved_calls_total{operation="create"}': 5,
      'saved_calls_total{operation="verify"}': 3,
      spend_usd_total: 0.0025,
      saved_usd_total: 1,
      [`build_info{version="1.2.3",node="${process.version}"}`]: 1,
    };
    for (const [name, value] of Object.entries(expected)) {
      expect(samples.get(`m2m_gateway_${name}`), name).toBeCloseTo(value, 9);
    }
  });

  test("follow the status: counters are as they are now, not added up", async () => {
    let hits = 5;
    const metrics = createMetrics("1", () => ({ ...STATUS, cache: { ...STATUS.cache, hits }, verifications: [] }));
    expect(samplesOf(await metrics.render()).get("m2m_gateway_cache_hits_total")).toBe(5);
    hits = 7;
    const samples = samplesOf(await metrics.render());
    expect(samples.get("m2m_gateway_cache_hits_total")).toBe(7);
    expect([...samples.keys()].filter((name) => name.startsWith("m2m_gateway_verify_total"))).toEqual([]);
  });

  test("take one snapshot for all values", async () => {
    let taken = 0;
    await createMetrics("1", () => {
      taken += 1;
      return STATUS;
    }).render();
    expect(taken).toBe(1);
  });

  test("fail as a promise when there is no snapshot", async () => {
    const metrics = createMetrics("1", () => {
      throw new Error("not yet");
    });
    await expect(metrics.render()).rejects.toThrow("not yet");
  });

  test("count RPCs by service, method and code, and time them by method", async () => {
    const metrics = createMetrics("1", () => STATUS);
    const service = "m2mgateway.v1.TokenService";
    metrics.recordRpc({ service, method: "VerifyToken", code: "ok" }, 0.2);
    metrics.recordRpc({ service, method: "VerifyToken", code: "ok" }, 30);
    metrics.recordRpc({ service, method: "VerifyToken", code: "unavailable" }, 3000);
    const samples = samplesOf(await metrics.render());
    const total = (code: string) => `m2m_gateway_rpc_total{service="${service}",method="VerifyToken",code="${code}"}`;
    expect(samples.get(total("ok"))).toBe(2);
    expect(samples.get(total("unavailable"))).toBe(1);
    const name = "m2m_gateway_rpc_duration_seconds";
    expect(samples.get(`${name}_bucket{le="0.00025",method="VerifyToken"}`)).toBe(1);
    expect(samples.get(`${name}_bucket{le="0.05",method="VerifyToken"}`)).toBe(2);
    expect(samples.get(`${name}_count{method="VerifyToken"}`)).toBe(3);
    expect(samples.get(`${name}_sum{method="VerifyToken"}`)).toBeCloseTo(3.0302, 6);
  });

  test("count calls that ended alike at once", async () => {
    const metrics = createMetrics("1", () => STATUS);
    const call = { service: "s.S", method: "M", code: "OK" };
    metrics.recordRpc(call, 0.1, 7);
    metrics.recordRpc(call, 20_000);
    metrics.recordRpc({ ...call, service: "t.T" }, 0.4, 2);
    const text = await metrics.render();
    expect(text).toContain('m2m_gateway_rpc_total{service="s.S",method="M",code="OK"} 8\n');
    const series = text.split("\n").filter((line) => line.startsWith("m2m_gateway_rpc_duration_seconds"));
    const counts = [7, 7, ...Array.from({ length: 14 }, () => 9), 10];
    const bounds = [
      0.0001,
      0.00025,
      0.0005,
      0.001,
      0.0025,
      0.005,
      0.01,
      0.025,
      0.05,
      0.1,
      0.25,
      0.5,
      1,
      2.5,
      5,
      10,
      "+Inf",
    ];
    expect(series).toEqual([
      ...bounds.map((le, at) => `m2m_gateway_rpc_duration_seconds_bucket{le="${le}",method="M"} ${counts[at]}`),
      expect.stringMatching(/^m2m_gateway_rpc_duration_seconds_sum\{method="M"\} 20\.001/),
      'm2m_gateway_rpc_duration_seconds_count{method="M"} 10',
    ]);
  });

  test("stay bounded when callers make up methods", async () => {
    const metrics = createMetrics("1", () => STATUS);
    for (let i = 0; i < 1000; i += 1) metrics.recordRpc({ service: "s", method: `m${i}`, code: "ok" }, 1);
    const samples = samplesOf(await metrics.render());
    expect([...samples.keys()].filter((name) => name.startsWith("m2m_gateway_rpc_total"))).toHaveLength(65);
    expect(samples.get('m2m_gateway_rpc_total{service="other",method="other",code="ok"}')).toBe(936);
  });

  test("live in a registry of their own, with those of the process, and can be made twice", async () => {
    const [one, two] = [createMetrics("1", () => STATUS), createMetrics("1", () => STATUS)];
    one.recordRpc({ service: "s", method: "m", code: "ok" }, 1);
    expect(await two.render()).not.toContain('method="m"');
    expect(await one.render()).toContain("process_cpu_seconds_total");
    expect(one.contentType).toMatch(/^text\/plain/);
    expect(register.getMetricsAsArray()).toEqual([]);
  });
});
