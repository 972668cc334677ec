import type { Config } from "./config/settings.ts";
import { openJwtKeys } from "./jwt-keys.ts";
import type { Logger } from "./logger.ts";
import { MemoryRevocationLog } from "./memory/memory-revocation-log.ts";
import { openRedisTier, openRedisVerdicts } from "./redis-tier.ts";
import { Budget } from "./token/budget.ts";
import { createDigester } from "./token/digest.ts";
import { JwtVerifier } from "./token/jwt-verifier.ts";
import type { Clock, RevocationLog, VerdictStore } from "./token/ports.ts";
import { Publisher } from "./token/publisher.ts";
import { Recorder } from "./token/recorder.ts";
import { Revalidator } from "./token/revalidator.ts";
import { RevocationFeed } from "./token/revocation-feed.ts";
import { Revocations } from "./token/revocations.ts";
import { Revoker } from "./token/revoker.ts";
import { SubjectRevoker } from "./token/subject-revoker.ts";
import { Sweeper } from "./token/sweeper.ts";
import { TokenPool } from "./token/token-pool.ts";
import { VerdictCache } from "./token/verdict-cache.ts";
import { Verifier } from "./token/verifier.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { ClerkUpstream } from "./upstream/clerk-upstream.ts";

/** Slack for clocks and scheduling, on top of what a verdict can live, before a revocation may be forgotten. */
const FORGET_SLACK_MS = 60_000;
const APPEND_TIMEOUT_MS = 1_000;

export type Domain = ReturnType<typeof createDomain>;

/**
 * Builds what decides, on Redis if the configuration names one, else in memory. Nothing runs before `start`.
 *
 * @param givenLog the log, where another process follows it; closed with the rest
 * @param admitUnknown see `VerifierOptions`
 * @param tracing told of what is asked of Redis and the upstream for calls
 * @throws ConfigError when the configuration of Redis cannot be used
 */
export function createDomain(
  config: Config,
  log: Logger,
  clock: Clock,
  givenLog?: RevocationLog,
  admitUnknown?: () => void,
  tracing?: Tracing,
) {
  const upstream = createUpstream(config, clock, tracing);
  const shared = openShared({ config, log, clock, scope: upstream.verifyScope }, givenLog);
  const { revocationLog } = shared;
  const store = shared.store && (tracing?.tracedStore(shared.store) ?? shared.store);
  const cache = new VerdictCache({
    clock,
    ttlMs: config.cache.verdictTtlMs,
    refusalTtlMs: config.cache.refusalTtlMs,
    maxKnown: config.cache.maxEntries,
    maxKnownBytes: config.cache.maxBytes,
    maxRefused: config.cache.refusalMaxEntries,
  });
  const facts = createFacts(config, log, clock, revocationLog, () => {
    cache.invalidate({ all: true });
    pool.distrust();
  });
  const finders = createFinders({ config, log, clock, upstream, store, ...facts });
  const jwtKeys = openJwtKeys(config, log, clock, upstream);
  const verifier = new Verifier({
    upstream,
    store,
    cache,
    ...facts,
    ...finders,
    admitUnknown,
    clock,
    digest: createDigester(upstream.verifyScope),
    jwts: jwtKeys && new JwtVerifier({ ...jwtKeys, cache, revocations: facts.revocations, clock }),
    allowsUnsyncedJwts: config.jwt.whenUnsynced === "allow",
    minCursorTimeoutMs: config.clerk.timeoutMs,
  });
  const boundMs = config.revocations.stalenessBoundMs;
  const publisher = new Publisher({ recorder: facts.recorder, log: revocationLog, clock, boundMs });
  const revoker = new Revoker({ upstream, verifier, ...facts, publisher });
  const { clockSkewMs } = config.jwt;
  const subjectRevoker = new SubjectRevoker({ upstream, ...facts, publisher, clock, clockSkewMs });
  const pool = new TokenPool({ ...config.pool, upstream, ...facts, clock, admitUnknown });

  const start = async () => {
    await facts.feed.start();
    facts.recorder.startRenewing();
    finders.sweeper?.start();
    jwtKeys?.start();
  };
  const close = async () => {
    pool.close();
    finders.sweeper?.close();
    finders.revalidator.close();
    facts.recorder.close();
    await facts.feed.close();
    await shared.close();
    await jwtKeys?.close();
    await upstream.close();
  };
  return { clock, upstream, cache, ...facts, ...finders, verifier, revoker, subjectRevoker, pool, start, close };
}

interface Shared {
  readonly revocationLog: RevocationLog;
  readonly store: VerdictStore | undefined;
  readonly close: () => Promise<void>;
}

/** What other processes have a part in. */
function openShared(options: Parameters<typeof openRedisTier>[0], givenLog: RevocationLog | undefined): Shared {
  if (givenLog === undefined) {
    const redis = openRedisTier(options);
    if (redis !== undefined) return { revocationLog: redis.log, store: redis.store, close: () => redis.close() };
    const memory = new MemoryRevocationLog(() => options.clock.wallMs());
    return { revocationLog: memory, store: undefined, close: () => memory.close() };
  }
  const verdicts = openRedisVerdicts(options);
  return {
    revocationLog: givenLog,
    store: verdicts?.store,
    async close() {
      await givenLog.close();
      await verdicts?.close();
    },
  };
}

/** @param onRestart the log started over: what was decided before is void */
function createFacts(config: Config, log: Logger, clock: Clock, revocationLog: RevocationLog, onRestart: () => void) {
  const minHoldMs = config.cache.verdictTtlMs + config.clerk.timeoutMs + FORGET_SLACK_MS;
  const revocations = new Revocations({ clock, minHoldMs });
  const recorder = new Recorder({
    log: revocationLog,
    revocations,
    clock,
    origin: config.gateway.replica,
    retentionMs: config.revocations.retentionMs,
    minHoldMs,
    longestJwtMs: config.jwt.maxLifetimeMs + 2 * config.jwt.clockSkewMs + FORGET_SLACK_MS,
    appendTimeoutMs: APPEND_TIMEOUT_MS,
    onAppendError: (err) =>
      log.error({ err }, "the revocation log did not take a revocation; it will be offered again"),
  });
  const feed = new RevocationFeed({
    log: revocationLog,
    revocations,
    clock,
    boundMs: config.revocations.stalenessBoundMs,
    onReadError: everyTenSeconds(clock, (err) => log.warn({ err }, "the revocation log cannot be read")),
    onRestart: () => {
      onRestart();
      recorder.recordMissing();
    },
  });
  return { revocations, recorder, feed };
}

/** What fails three times a second while Redis is away is not worth as many lines. */
export function everyTenSeconds(clock: Clock, report: (error: unknown) => void): (error: unknown) => void {
  let nextMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    const nowMs = clock.monotonicMs();
    if (nowMs < nextMs) return;
    nextMs = nowMs + 10_000;
    report(error);
  };
}

interface FinderParts {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  readonly upstream: ClerkUpstream;
  readonly store: VerdictStore | undefined;
  readonly recorder: Recorder;
  readonly revocations: Revocations;
}

/** What finds out about revocations that nobody told the gateway of. */
function createFinders({ config, log, clock, upstream, store, recorder, revocations }: FinderParts) {
  const { renewPerSecond, renewPerDay, sweepIntervalMs } = config.outOfBand;
  const shared = { store, recorder, revocations, clock };
  const revalidator = new Revalidator({
    ...shared,
    budget: new Budget({ clock, perSecond: renewPerSecond, perDay: renewPerDay }),
    ttlMs: config.cache.verdictTtlMs,
  });
  const sweeper =
    sweepIntervalMs === 0
      ? undefined
      : new Sweeper({
          ...shared,
          upstream,
          intervalMs: sweepIntervalMs,
          retentionMs: config.revocations.retentionMs,
          onError: (err) => log.warn({ err }, "a machine's revoked tokens cannot be listed"),
        });
  return { revalidator, sweeper };
}

function createUpstream({ clerk }: Config, clock: Clock, tracing: Tracing | undefined): ClerkUpstream {
  return new ClerkUpstream({
    baseUrl: clerk.url,
    machineSecretKey: clerk.machineSecretKey?.reveal(),
    secretKey: clerk.secretKey?.reveal(),
    timeoutMs: clerk.timeoutMs,
    attemptTimeoutMs: clerk.attemptTimeoutMs,
    maxAttempts: clerk.maxAttempts,
    maxConcurrency: clerk.maxConcurrency,
    maxQueue: clerk.maxQueue,
    maxRequestsPerSecond: clerk.maxRequestsPerSecond,
    apiVersion: clerk.apiVersion,
    clock,
    traceAttempt: tracing?.traceAttempt,
  });
}
