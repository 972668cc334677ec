import { z } from "zod";
import { MS, whole } from "../setting.ts";

/** Watchers. */
export const watchSettings = z.strictObject({
  maxLag: whole(
    "GATEWAY_WATCH_BUFFER",
    { min: 1, max: 1_000_000, initial: 1024, unit: "events" },
    "How many events a watcher may lag behind before its stream is cut.",
  ),
  heartbeatMs: whole(
    "GATEWAY_WATCH_HEARTBEAT_MS",
    { min: 100, max: 60_000, initial: 5000, unit: MS },
    "How often a watcher hears that its stream lives.",
  ),
});
