import { z } from "zod";
import { MS, whole } from "../setting.ts";

/** Revocations. */
export const revocationsSettings = z.strictObject({
  stalenessBoundMs: whole(
    "GATEWAY_STALENESS_BOUND_MS",
    { min: 200, max: 60_000, initial: 1000, unit: MS },
    "How long after a revocation was acknowledged a cached answer may still contradict it, at most. Without proof of having read the log within this time no cached answer is used.",
  ),
  retentionMs: whole(
    "GATEWAY_REVOCATION_RETENTION_MS",
    { min: 60_000, max: 604_800_000, initial: 3_600_000, unit: MS },
    "How long a revocation is remembered. At least `GATEWAY_VERDICT_TTL_MS` + `CLERK_TIMEOUT_MS` + 60000, so that it outlives every cached answer.",
  ),
});
