import type { Protocol } from "./protocol.ts";

/** The longest delay that a timer can have; beyond it timers fire at once. About 24.8 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const MAX_GRPC_MS = 99_999_999;

const UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * How long the caller gives the call, in milliseconds; `undefined` when it does not say. A timeout that timers cannot
 * hold is taken out of the headers: the framework would turn it into one of a millisecond. The caller ends such a call
 * itself. A malformed one is left for the framework to refuse.
 *
 * @param waitedMs how long the call has been here already: that is taken off, in the headers too, in whole milliseconds
 */
export function takeTimeoutMs(protocol: Protocol, headers: Headers, waitedMs: number): number | undefined {
  const name = timeoutHeaderOf(protocol);
  const value = headers.get(name);
  const timeoutMs = value === null ? undefined : parseTimeoutMs(protocol, value);
  if (timeoutMs === undefined) return undefined;
  if (timeoutMs > MAX_TIMER_MS) {
    headers.delete(name);
    return undefined;
  }
  // Of a day and more a moment is nothing, and gRPC has but eight digits.
  if (waitedMs < 1 || timeoutMs > MAX_GRPC_MS) return timeoutMs;
  const leftMs = Math.max(0, Math.floor(timeoutMs - waitedMs));
  headers.set(name, protocol === "connect" ? `${leftMs}` : `${leftMs}m`);
  return leftMs;
}

/** The header that says how long the caller gives the call. */
export function timeoutHeaderOf(protocol: Protocol): string {
  return protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
}

/** In milliseconds; `undefined` when it is malformed. */
export function parseTimeoutMs(protocol: Protocol, value: string): number | undefined {
  return protocol === "connect" ? parseConnectTimeout(value) : parseGrpcTimeout(value);
}

function parseGrpcTimeout(value: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] ?? ""] ?? 0);
}

function parseConnectTimeout(value: string): number | undefined {
  return /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}
