import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { FreshnessState, GetStatusResponseSchema } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { Source, Verdict } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { encodeStatus, mergeStatus } from "./merge-status.ts";

const OWN = create(GetStatusResponseSchema, {
  replica: "host",
  freshness: { state: FreshnessState.SYNCED, cursor: "e.9-0", bound: durationFromMs(1_000) },
  cache: { hits: 1n },
  revocations: { live: 5n, watchers: 1n },
});

function worker({ hits = 0n, state = FreshnessState.SYNCED, cursor = "e.9-0", staleMs = 10, errorAtMs = 1_000 }) {
  return encodeStatus(
    create(GetStatusResponseSchema, {
      replica: "host/1",
      freshness: { state, cursor, staleness: durationFromMs(staleMs), bound: durationFromMs(1_000) },
      cache: { hits, misses: 1n },
      upstream: { url: "u", reachable: state !== FreshnessState.DEGRADED, requests: { verify: 2n } },
      revocations: { live: 5n, watchers: 2n },
      verifications: [{ verdict: Verdict.VALID, source: Source.MEMORY, count: hits }],
      calls: [{ service: "s", method: "m", codes: { OK: hits }, durations: [hits, 1n] }],
      recentErrors: [
        {
          method: "m",
          reason: "R",
          count: 2n,
          firstTime: timestampFromMs(errorAtMs),
          lastTime: timestampFromMs(errorAtMs),
        },
      ],
    }),
  );
}

describe("mergeStatus", () => {
  it("adds up what workers count, and counts what they share once", () => {
    const statuses = [worker({ hits: 10n, errorAtMs: 5_000 }), worker({ hits: 4n, errorAtMs: 2_000 })];
    expect(mergeStatus(OWN, { configured: 3, restarts: 1, statuses })).toMatchObject({
      replica: "host",
      cache: { hits: 15n, misses: 2n },
      upstream: { url: "u", reachable: true, requests: { verify: 4n } },
      revocations: { live: 5n, watchers: 5n },
      verifications: [{ verdict: Verdict.VALID, source: Source.MEMORY, count: 14n }],
      calls: [{ service: "s", method: "m", codes: { OK: 14n }, durations: [14n, 2n] }],
      recentErrors: [{ count: 4n, firstTime: timestampFromMs(2_000), lastTime: timestampFromMs(5_000) }],
      workers: { configured: 3, reporting: 2, restarts: 1n },
    });
  });

  it("is as fresh as the worst worker", () => {
    const statuses = [
      worker({ staleMs: 900, cursor: "e.7-0" }),
      worker({ state: FreshnessState.DEGRADED }),
      worker({ cursor: "e.8-0" }),
    ];
    expect(mergeStatus(OWN, { configured: 3, restarts: 0, statuses })).toMatchObject({
      freshness: { state: FreshnessState.DEGRADED, cursor: "e.7-0", staleness: durationFromMs(900) },
      upstream: { reachable: false },
    });
  });

  it("serves nothing where no worker answers, however well the process that tells is", () => {
    const merged = mergeStatus(OWN, { configured: 2, restarts: 7, statuses: [] });
    expect(merged.freshness?.state).toBe(FreshnessState.NOT_SERVING);
    expect(merged.workers).toMatchObject({ configured: 2, reporting: 0 });
  });
});
