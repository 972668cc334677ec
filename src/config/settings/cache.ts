import { z } from "zod";
import { MS, whole } from "../setting.ts";

/** The cache of verdicts. */
export const cacheSettings = z.strictObject({
  verdictTtlMs: whole(
    "GATEWAY_VERDICT_TTL_MS",
    { min: 0, max: 3_600_000, initial: 30_000, unit: MS },
    "How long an answer about a token is used again. 0 asks the upstream every time. A token revoked without the gateway can stay valid for this long.",
  ),
  refusalTtlMs: whole(
    "GATEWAY_REFUSAL_TTL_MS",
    { min: 0, max: 30_000, initial: 2000, unit: MS },
    "How long the upstream's refusal of a token is used again. 0 asks every time.",
  ),
  maxEntries: whole(
    "GATEWAY_CACHE_MAX_ENTRIES",
    { min: 1, max: 10_000_000, initial: 100_000, unit: "entries" },
    "How many answers about tokens are kept.",
  ),
  maxBytes: whole(
    "GATEWAY_CACHE_MAX_BYTES",
    { min: 1_048_576, max: 8_589_934_592, initial: 134_217_728, unit: "bytes" },
    "How much memory those answers may take, by estimate; claims count. The first of the two bounds that is reached holds.",
  ),
  refusalMaxEntries: whole(
    "GATEWAY_REFUSAL_CACHE_MAX_ENTRIES",
    { min: 1, max: 1_000_000, initial: 10_000, unit: "entries" },
    "How many refusals are kept, apart from the answers, so that made-up tokens cannot push those out.",
  ),
});
