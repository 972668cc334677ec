import type { Config } from "./config/settings.ts";
import { openJwtKeys } from "./jwt-keys.ts";
import type { Logger } from "./logger.ts";
import { fleetOfOne, MemoryRevocationLog } from "./memory/memory-revocation-log.ts";
import { createOwnKeys } from "./own-keys.ts";
import type { VerdictScope } from "./redis/options.ts";
import { openRedisTier, openRedisVerdicts, verdictScope } from "./redis-tier.ts";
import { Budget } from "./token/budget.ts";
import { Digester } from "./token/digest.ts";
import { JwtVerifier } from "./token/jwt-verifier.ts";
import type { Clock, Fleet, RevocationLog, UnknownAdmission, VerdictStore } from "./token/ports.ts";
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
import { Verifier, type VerifierOptions } from "./token/verifier.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { ClerkUpstream, type UpstreamTlsOptions } from "./upstream/clerk-upstream.ts";
import type { UpstreamKeys } from "./upstream/credentials.ts";

/** Slack for clocks and scheduling, on top of what a verdict can live, before a revocation may be forgotten. */
const FORGET_SLACK_MS = 60_000;
const APPEND_TIMEOUT_MS = 1_000;

export type Domain = ReturnType<typeof createDomain>;

/** The log as another process, or another part of this one, follows it. Closed with the rest of the domain. */
export interface GivenLog {
  readonly revocationLog: RevocationLog;
  /** Who follows it, where this process can tell. */
  readonly fleet?: Fleet | undefined;
}

/**
 * Builds what decides, on Redis if the configuration names one, else in memory. Nothing runs before `start`.
 *
 * @param admission see `VerifierOptions`
 * @param tracing told of what is asked of Redis and the upstream for calls
 * @throws ConfigError when the configuration of Redis cannot be used
 */
export function createDomain(
  config: Config,
  log: Logger,
  clock: Clock,
  givenLog?: GivenLog,
  admission?: UnknownAdmission,
  tracing?: Tracing,
) {
  const upstream = createUpstream(config, log, clock, tracing);
  const shared = traced(openShared({ config, log, clock, scope: upstream.verifyScope }, givenLog), tracing);
  const { store } = shared;
  const cache = createCache(config, clock);
  const facts = createFacts(config, log, clock, shared.revocationLog, () => {
    cache.invalidate({ all: true });
    pool.distrust();
  });
  const finders = createFinders({ config, log, clock, upstream, store, ...facts });
  const digester = new Digester(upstream.verifyScope);
  const asking = { cache, ...facts, admission, clock, minCursorTimeoutMs: config.clerk.timeoutMs };
  const jwtKeys = openJwtKeys(config, log, clock, upstream);
  const verifier = new Verifier({
    ...{ ...asking, ...finders, upstream, store },
    digester,
    credential: () => upstream.credential,
    jwts: jwtKeys && new JwtVerifier({ ...jwtKeys, cache, revocations: facts.revocations, clock }),
    allowsUnsyncedJwts: config.jwt.whenUnsynced === "allow",
  });
  const revoking = createRevoking({ config, clock, upstream, verifier, shared, facts, asking });
  const pool = new TokenPool({ ...config.pool, upstream, ...facts, clock, admission });

  /**
   * Asks the upstream with these keys from now on. When the one that verifies is another, no verdict obtained with the one
   * before answers a call that comes after: digests, and with them flights and L1, and names in L2 are made anew at once.
   * Nor is a token handed out that another machine may have minted. Facts stay: a revoked token is revoked, whoever asks.
   */
  const useKeys = (keys: UpstreamKeys) => {
    const before = upstream.credential;
    upstream.useKeys(keys);
    jwtKeys?.renew();
    if (upstream.credential === before) return;
    digester.useScope(upstream.verifyScope);
    shared.useScope?.(verdictScope(config, upstream.verifyScope, keys.machineSecretKey ?? keys.secretKey));
    cache.clear();
    pool.distrust();
  };
  /** New connections to the upstream and the issuer are made this way; those there are stay. */
  const useTls = (tls: UpstreamTlsOptions) => {
    upstream.useTls(tls);
    jwtKeys?.trust(tls.ca);
  };
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
  const parts = { clock, upstream, fleet: shared.fleet, cache, ...facts, ...finders };
  return { ...parts, verifier, ...revoking, pool, useKeys, useTls, start, close };
}

interface RevokingParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly upstream: ClerkUpstream;
  readonly verifier: Verifier;
  readonly shared: Shared;
  readonly facts: ReturnType<typeof createFacts>;
  /** What verifiers have in common, whoever's key they ask with. */
  readonly asking: Omit<VerifierOptions, "upstream" | "store" | "digester">;
}

/** What revokes, and what decides and revokes with keys of callers' own where they may bring any. */
function createRevoking({ config, clock, upstream, verifier, shared, facts, asking }: RevokingParts) {
  const boundMs = config.revocations.stalenessBoundMs;
  const publisher = new Publisher({ recorder: facts.recorder, log: shared.revocationLog, clock, boundMs });
  const parts = { ...facts, publisher };
  const { clockSkewMs } = config.jwt;
  const { passthrough, passthroughMaxKeys } = config.callers;
  const ownKeys = createOwnKeys({
    ...{ upstream, revoker: parts, maxKeys: passthroughMaxKeys },
    verifier: { ...asking, counts: verifier.counts },
    storeOf: (scope, key) => shared.storeOf?.(verdictScope(config, scope, key)),
  });
  return {
    revoker: new Revoker({ upstream, verifier, ...parts }),
    subjectRevoker: new SubjectRevoker({ upstream, ...parts, clock, clockSkewMs }),
    ownKeys: passthrough ? ownKeys : undefined,
  };
}

function createCache({ cache }: Config, clock: Clock): VerdictCache {
  return new VerdictCache({
    clock,
    ttlMs: cache.verdictTtlMs,
    refusalTtlMs: cache.refusalTtlMs,
    maxKnown: cache.maxEntries,
    maxKnownBytes: cache.maxBytes,
    maxRefused: cache.refusalMaxEntries,
  });
}

interface Shared {
  readonly revocationLog: RevocationLog;
  readonly store: VerdictStore | undefined;
  readonly useScope?: ((scope: VerdictScope) => void) | undefined;
  readonly fleet: Fleet | undefined;
  readonly storeOf?: ((scope: VerdictScope) => VerdictStore) | undefined;
  readonly close: () => Promise<void>;
}

/** What other processes have a part in. */
function openShared(options: Parameters<typeof openRedisTier>[0], givenLog: GivenLog | undefined): Shared {
  if (givenLog === undefined) {
    const redis = openRedisTier(options);
    if (redis !== undefined) return { ...redis, revocationLog: redis.log };
    const memory = new MemoryRevocationLog(() => options.clock.wallMs());
    const fleet = fleetOfOne(options.config.gateway.replica, memory);
    return { revocationLog: memory, fleet, store: undefined, close: () => memory.close() };
  }
  const verdicts = openRedisVerdicts(options);
  return {
    revocationLog: givenLog.revocationLog,
    fleet: givenLog.fleet,
    store: verdicts?.store,
    useScope: verdicts?.useScope,
    storeOf: verdicts?.storeOf,
    async close() {
      await givenLog.revocationLog.close();
      await verdicts?.close();
    },
  };
}

/** The same, with look-ups that are told to the traces of the calls that they are made for. */
function traced(shared: Shared, tracing: Tracing | undefined): Shared {
  if (tracing === undefined) return shared;
  const { store, storeOf } = shared;
  return {
    ...shared,
    store: store && tracing.tracedStore(store),
    storeOf: storeOf && ((scope) => tracing.tracedStore(storeOf(scope))),
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

function createUpstream({ clerk }: Config, log: Logger, clock: Clock, tracing: Tracing | undefined): ClerkUpstream {
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
    onKey({ key, rejected }) {
      const name = key === "machine" ? "CLERK_MACHINE_SECRET_KEY" : "CLERK_SECRET_KEY";
      if (rejected) log.error({ key: name }, "the upstream rejects the gateway's key: calls that need it fail");
      else log.info({ key: name }, "the upstream is asked with a key that it has not rejected");
    },
  });
}
