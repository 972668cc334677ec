import type { Clock } from "../token/ports.ts";
import type { RedisTarget } from "./redis-url.ts";

/** Whose verdicts are shared, and by whom. */
export interface VerdictScope {
  /** Names the upstream and the credential that verifications use. */
  readonly scope: string;
  /** Shared by the replicas. */
  readonly hmacKey: Buffer | string;
}

export interface RedisOptions extends RedisTarget, VerdictScope {
  /** When the sentinels demand one of their own. */
  readonly sentinelPassword?: string | undefined;
  /** What all keys and the channel begin with; `m2mgw` by default. Gateways with the same one are one fleet. */
  readonly keyPrefix?: string | undefined;
  /** The name of this replica. Two processes with one name are still told apart. */
  readonly replica: string;
  /** The staleness bound B, in milliseconds. The same for the whole fleet. */
  readonly boundMs: number;
  /** How long the log keeps an entry at least, in milliseconds: no less than any fact is to be remembered. */
  readonly retentionMs: number;
  /** How long one command on the log may take. Well below a third of the bound, so that a failure leaves time for more. */
  readonly commandTimeoutMs: number;
  /** How long a verification waits for a shared verdict, in milliseconds. */
  readonly verdictBudgetMs: number;
  /** How long an observation may decide, in milliseconds from the start of the request. */
  readonly verdictTtlMs: number;
  readonly clock: Clock;
  /** Must not throw. */
  readonly onEvent: (event: RedisEvent) => void;
}

export type RedisEvent =
  | { readonly kind: "connected" }
  | { readonly kind: "disconnected" }
  /** Something went wrong that the gateway survives. Holds no secret. */
  | { readonly kind: "error"; readonly error: Error };

export const DEFAULT_KEY_PREFIX = "m2mgw";
