import { describe, expect, it } from "vitest";
import { RecentErrors } from "./recent-errors.ts";
import type { CallReport } from "./rpc/call-report.ts";

function failure(reason: string, method = "VerifyToken"): CallReport {
  const error = new Error("mt_secret");
  return { service: "s", method, protocol: "grpc", code: "UNAVAILABLE", reason, durationMs: 1, error };
}

describe("RecentErrors", () => {
  it("counts errors of a kind together, the latest kind first, and holds nothing that an error says", () => {
    let nowMs = 1_000;
    const errors = new RecentErrors(() => nowMs);
    errors.note(failure("UPSTREAM_TIMEOUT"));
    nowMs = 2_000;
    errors.note(failure("DRAINING"));
    nowMs = 3_000;
    errors.note(failure("UPSTREAM_TIMEOUT"));
    const common = { service: "s", method: "VerifyToken", code: "UNAVAILABLE" };
    expect(errors.latest).toEqual([
      { ...common, reason: "UPSTREAM_TIMEOUT", count: 2, firstAtMs: 1_000, lastAtMs: 3_000 },
      { ...common, reason: "DRAINING", count: 1, firstAtMs: 2_000, lastAtMs: 2_000 },
    ]);
    expect(JSON.stringify(errors.latest)).not.toContain("secret");
  });

  it("takes neither success nor a caller's leaving for an error", () => {
    const errors = new RecentErrors(() => 0);
    errors.note({ ...failure(""), code: "OK", reason: undefined });
    errors.note({ ...failure("CANCELED"), code: "CANCELLED" });
    expect(errors.latest).toEqual([]);
  });

  it("holds fifty kinds and drops the one that is longest ago", () => {
    const errors = new RecentErrors(() => 0);
    for (let kind = 0; kind < 60; kind++) errors.note(failure(`R${kind}`));
    expect(errors.latest).toHaveLength(50);
    expect(errors.latest.at(-1)?.reason).toBe("R10");
  });
});
