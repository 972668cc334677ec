import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "./config/problem.ts";
import type { Config } from "./config/settings.ts";
import type { Logger } from "./logger.ts";
import { connectRedis, connectRevocationLog, connectVerdictStore, type RedisParts } from "./redis/connect-redis.ts";
import type { RedisOptions, VerdictScope } from "./redis/options.ts";
import { parseRedisUrl, type RedisTarget, type RedisTls } from "./redis/redis-url.ts";
import type { Clock } from "./token/ports.ts";

interface RedisTierOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** Names the upstream and the credential that verifications use. */
  readonly scope: string;
}

const MAX_COMMAND_TIMEOUT_MS = 250;

/**
 * The Redis that the configuration names, or `undefined` when it names none.
 * @throws ConfigError
 */
export function openRedisTier(options: RedisTierOptions): RedisParts | undefined {
  const redis = redisOptions(options);
  return redis === undefined ? undefined : connectRedis(redis);
}

/** The verdicts in it alone, for a process that is told the log by another one. @throws ConfigError */
export function openRedisVerdicts(
  options: RedisTierOptions,
): Pick<RedisParts, "store" | "useScope" | "storeOf" | "close"> | undefined {
  const redis = redisOptions(options);
  return redis === undefined ? undefined : connectVerdictStore(redis);
}

/** The log in it alone, for a process that verifies nothing. @throws ConfigError */
export function openRedisLog(
  options: Omit<RedisTierOptions, "scope">,
): Pick<RedisParts, "log" | "fleet" | "close"> | undefined {
  const redis = redisOptions({ ...options, scope: "" });
  return redis === undefined ? undefined : connectRevocationLog(redis);
}

function redisOptions({ config, log, clock, scope }: RedisTierOptions): RedisOptions | undefined {
  const { redis, revocations, cache, gateway } = config;
  if (redis.url === undefined) return undefined;
  const target = targetOf(redis.url.reveal());
  const boundMs = revocations.stalenessBoundMs;
  return {
    ...target,
    ...(redis.password === undefined ? {} : { password: redis.password.reveal() }),
    ...(target.tls === undefined ? {} : { tls: tlsOf(redis) }),
    sentinelPassword: redis.sentinelPassword?.reveal(),
    keyPrefix: redis.prefix,
    replica: gateway.replica,
    boundMs,
    retentionMs: revocations.retentionMs,
    commandTimeoutMs: Math.min(MAX_COMMAND_TIMEOUT_MS, boundMs / 4),
    verdictBudgetMs: redis.verdictBudgetMs,
    verdictTtlMs: cache.verdictTtlMs,
    ...verdictScope(config, scope, config.clerk.machineSecretKey?.reveal() ?? config.clerk.secretKey?.reveal()),
    clock,
    onEvent: (event) => {
      if (event.kind === "error") log.warn({ err: event.error }, "redis");
      else log.info({ redis: event.kind }, "redis");
    },
  };
}

function targetOf(url: string): RedisTarget {
  try {
    return parseRedisUrl(url);
  } catch (error) {
    const what = error instanceof Error ? error.message : "cannot be read";
    throw new ConfigError([
      { where: "GATEWAY_REDIS_URL", what, fix: "correct it; docs/configuration.md shows the forms" },
    ]);
  }
}

function tlsOf({ caFile, certFile, keyFile, servername }: Config["redis"]): RedisTls {
  return {
    ca: read("GATEWAY_REDIS_CA_FILE", caFile),
    cert: read("GATEWAY_REDIS_CERT_FILE", certFile),
    key: read("GATEWAY_REDIS_KEY_FILE", keyFile),
    servername,
  };
}

function read(where: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch {
    throw new ConfigError([
      { where, what: `names ${path}, which cannot be read`, fix: "give the path of a readable file" },
    ]);
  }
}

/** @param key the one that verifications use */
export function verdictScope({ redis }: Config, scope: string, key: string | undefined): VerdictScope {
  return { scope, hmacKey: redis.verdictKey?.reveal() ?? derivedKey(key ?? "") };
}

/** The same in every replica that verifies with the same key, and of no use without it. */
function derivedKey(key: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, "", "m2m-gateway verdict keys", 32));
}
