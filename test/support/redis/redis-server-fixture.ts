import type { RedisTarget } from "../../../src/redis/redis-url.ts";

/** Servers that were started for a test, and what can be done to them. Whoever started them stops them. */
export interface RedisFixture {
  /** What `connectRedis` needs to reach them. */
  readonly target: RedisTarget;
  /** The server that holds the log, or all of them, dies without a word. */
  kill(): Promise<void>;
  /** It hangs: connections stay open, nothing is answered. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** It dies and comes back with nothing in it. */
  restartEmpty(): Promise<void>;
  flushAll(): Promise<void>;
  stop(): Promise<void>;
}

export interface SentinelFixture extends RedisFixture {
  /** The next primary no longer receives what the present one is told. */
  cutReplication(): Promise<void>;
  /** The primary dies. Resolves when the sentinels have made the other one primary. */
  failover(): Promise<void>;
}
