import { z } from "zod";
import { MS, whole } from "../setting.ts";

/** How much the RPC port takes on. `docs/abuse.md` says what each bound is for. */
export const limitsSettings = z.strictObject({
  maxConnections: whole(
    "GATEWAY_MAX_CONNECTIONS",
    { min: 1, max: 1_000_000, initial: 4096, unit: "connections" },
    "How many connections the RPC port keeps open, HTTP/1.1 and HTTP/2 together; others are closed as they come. The process needs as many file descriptors, and some more. Of each worker.",
  ),
  maxStreamsPerConnection: whole(
    "GATEWAY_MAX_STREAMS_PER_CONNECTION",
    { min: 1, max: 100_000, initial: 1000, unit: "streams" },
    "How many requests one HTTP/2 connection may have open. Clients are told, and hold back what is beyond it.",
  ),
  maxStreams: whole(
    "GATEWAY_MAX_STREAMS",
    { min: 1, max: 10_000_000, initial: 20_000, unit: "streams" },
    "How many requests all HTTP/2 connections may have open together. Others are refused, to be tried again, but each connection may always have a few.",
  ),
  maxInFlight: whole(
    "GATEWAY_MAX_IN_FLIGHT",
    { min: 8, max: 1_000_000, initial: 2048, unit: "calls" },
    "How many calls may be under way, apart from those that memory answers at once. An eighth is kept for revocations, health and status. Others are refused before any work is done.",
  ),
  maxWatchers: whole(
    "GATEWAY_MAX_WATCHERS",
    { min: 1, max: 1_000_000, initial: 4096, unit: "streams" },
    "How many streams of WatchRevocations may be open.",
  ),
  maxPendingBytes: whole(
    "GATEWAY_MAX_PENDING_BYTES",
    { min: 1_048_576, max: 8_589_934_592, initial: 67_108_864, unit: "bytes" },
    "How many bytes of requests and answers may wait in memory for the rest of their call, all callers together. At least `GATEWAY_MAX_MESSAGE_BYTES`.",
  ),
  shedDelayMs: whole(
    "GATEWAY_SHED_DELAY_MS",
    { min: 0, max: 60_000, initial: 200, unit: MS },
    "From which standing delay of the event loop on the gateway refuses what costs much: creations, listings, new streams, tokens that memory does not know. From four times of it on it answers from memory only, over gRPC, and still revokes. 0 never refuses for it.",
  ),
});
