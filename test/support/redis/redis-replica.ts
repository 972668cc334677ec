import { connectRedis, type RedisParts } from "../../../src/redis/connect-redis.ts";
import type { RedisEvent, RedisOptions } from "../../../src/redis/options.ts";
import type { RedisTarget } from "../../../src/redis/redis-url.ts";
import { systemClock } from "../../../src/system-clock.ts";

const HMAC_KEY = "a key that only the replicas know";
const SCOPE = "https://upstream.test/ with credential 1";
export const BOUND_MS = 1_000;

export interface RedisReplica extends RedisParts {
  readonly events: readonly RedisEvent[];
}

/** The Redis side of one replica, as the gateway connects it. */
export function connectReplica(target: RedisTarget, overrides: Partial<RedisOptions> = {}): RedisReplica {
  const events: RedisEvent[] = [];
  const parts = connectRedis({ ...replicaOptions(target), onEvent: (event) => events.push(event), ...overrides });
  return { ...parts, events };
}

export function replicaOptions(target: RedisTarget): RedisOptions {
  return {
    ...target,
    replica: "replica-1",
    boundMs: BOUND_MS,
    retentionMs: 3_600_000,
    commandTimeoutMs: 250,
    verdictBudgetMs: 8,
    verdictTtlMs: 30_000,
    scope: SCOPE,
    hmacKey: HMAC_KEY,
    clock: systemClock,
    onEvent: () => undefined,
  };
}
