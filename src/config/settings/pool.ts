import { z } from "zod";
import { MS, whole } from "../setting.ts";

/** The pool that AcquireToken answers from. */
export const poolSettings = z.strictObject({
  maxTokens: whole(
    "GATEWAY_POOL_MAX_TOKENS",
    { min: 1, max: 10_000, initial: 1_000, unit: "tokens" },
    "How many tokens AcquireToken keeps, one for each caller, format, lifetime and set of claims. The one not used for longest goes first.",
  ),
  maxBytes: whole(
    "GATEWAY_POOL_MAX_BYTES",
    { min: 1_048_576, max: 1_073_741_824, initial: 16_777_216, unit: "bytes" },
    "How much memory those tokens may take, by estimate; claims count. As much again may go to those that are not there yet.",
  ),
  maxAgeMs: whole(
    "GATEWAY_POOL_MAX_AGE_MS",
    { min: 1_000, max: 86_400_000, initial: 3_600_000, unit: MS },
    "How old a token may be and still be given by AcquireToken, however long it lives: the life of one that never expires.",
  ),
  idleMs: whole(
    "GATEWAY_POOL_IDLE_MS",
    { min: 1_000, max: 86_400_000, initial: 600_000, unit: MS },
    "A token that nobody has asked AcquireToken for within this time is not renewed.",
  ),
});
