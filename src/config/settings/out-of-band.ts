import { z } from "zod";
import { MS, whole } from "../setting.ts";

/** Finding revocations that were made without the gateway. */
export const outOfBandSettings = z.strictObject({
  renewPerSecond: whole(
    "GATEWAY_RENEW_PER_SECOND",
    { min: 0, max: 10_000, initial: 5, unit: "requests per second" },
    "How many hot verdicts are renewed before they expire, by all means within `CLERK_MAX_REQUESTS_PER_SECOND`. 0 renews none.",
  ),
  renewPerDay: whole(
    "GATEWAY_RENEW_PER_DAY",
    { min: 0, max: 1_000_000_000, initial: 100_000, unit: "requests per day" },
    "How many renewals a day may cost. 100,000 cost $1 at Clerk's list price.",
  ),
  sweepIntervalMs: whole(
    "GATEWAY_SWEEP_INTERVAL_MS",
    { min: 0, max: 86_400_000, initial: 0, unit: MS },
    "How often the revoked tokens of every machine seen are listed, to find revocations made elsewhere. Needs `CLERK_SECRET_KEY`. 0 never does.",
  ),
});
