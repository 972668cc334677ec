import { type Readiness, startAdminServer } from "./admin/admin-server.ts";
import { createCallLog } from "./call-log.ts";
import type { Config } from "./config/settings.ts";
import type { Logger } from "./logger.ts";
import { MemoryRevocationLog } from "./memory/memory-revocation-log.ts";
import { createMetrics } from "./metrics.ts";
import { createHealth, type HealthStatuses } from "./rpc/health.ts";
import { createRoutes, FRESHNESS_SERVICE, SERVICES } from "./rpc/routes.ts";
import type { RpcDependencies } from "./rpc/rpc-dependencies.ts";
import { startRpcServer } from "./rpc/rpc-server.ts";
import { createValidateInterceptor } from "./rpc/validate-interceptor.ts";
import {
  type FreshnessSnapshot,
  type FreshnessState,
  freshnessState,
  type StatusParts,
  takeFreshness,
  takeStatus,
} from "./status.ts";
import { systemClock } from "./system-clock.ts";
import { createDigester } from "./token/digest.ts";
import type { Clock, RevocationLog } from "./token/ports.ts";
import { Recorder } from "./token/recorder.ts";
import { RevocationFeed } from "./token/revocation-feed.ts";
import { Revocations } from "./token/revocations.ts";
import { Revoker } from "./token/revoker.ts";
import { VerdictCache } from "./token/verdict-cache.ts";
import { Verifier } from "./token/verifier.ts";
import { ClerkUpstream } from "./upstream/clerk-upstream.ts";

export interface GatewayOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly version: string;
}

/** Parts that tests replace. */
export interface GatewayOverrides {
  readonly clock?: Clock;
  readonly revocationLog?: RevocationLog;
}

export interface Gateway {
  /** Where RPCs are served. */
  readonly url: string;
  /** Where health, readiness and metrics are served. */
  readonly adminUrl: string;
  /**
   * NOT_SERVING first, then streams end with their cursors, calls under way finish within the grace, and everything else
   * is closed in the reverse order of its making. Later calls return the first one's promise.
   */
  close(): Promise<void>;
}

/** Slack for clocks and scheduling, on top of what a verdict can live, before a revocation may be forgotten. */
const FORGET_SLACK_MS = 60_000;
const APPEND_TIMEOUT_MS = 1_000;
const HEALTH_INTERVAL_MS = 250;

/** Builds a gateway and starts it. It listens only when it is able to decide. */
export async function startGateway(options: GatewayOptions, overrides: GatewayOverrides = {}): Promise<Gateway> {
  const { config, version } = options;
  const domain = createDomain(options, overrides);
  await domain.feed.start();
  const lifetime = { draining: false };
  const parts: StatusParts = {
    ...domain,
    version,
    replica: config.gateway.replica,
    startedAtMs: domain.clock.wallMs(),
    upstreamUrl: config.clerk.url,
    watchers: { open: 0, cut: 0 },
    isDraining: () => lifetime.draining,
  };
  const health = createHealth(["", ...SERVICES.map((service) => service.typeName), FRESHNESS_SERVICE]);
  const { rpc, admin } = await startServers(options, domain, parts, health);
  const stopHealth = followFreshness(health, () => freshnessState(parts), domain.clock);

  const close = async () => {
    lifetime.draining = true;
    stopHealth();
    setHealth(health, "not_serving");
    await rpc.drain(config.rpc.drainGraceMs);
    domain.recorder.close();
    await domain.feed.close();
    await domain.log.close();
    await domain.upstream.close();
    await admin.close();
  };
  let closed: Promise<void> | undefined;
  return {
    url: rpc.url,
    adminUrl: admin.url,
    close() {
      closed ??= close();
      return closed;
    },
  };
}

async function startServers(
  { config, log, version }: GatewayOptions,
  domain: ReturnType<typeof createDomain>,
  parts: StatusParts,
  health: HealthStatuses,
) {
  const metrics = createMetrics(version, () => takeStatus(parts));
  const dependencies: RpcDependencies = {
    ...domain,
    watch: config.watch,
    maxMessageBytes: config.rpc.maxMessageBytes,
    watchers: parts.watchers,
    status: () => takeStatus(parts),
    freshness: () => takeFreshness(parts),
    isDegraded: () => freshnessState(parts) !== "synced",
  };
  const logCall = createCallLog(log, domain.clock);
  const admin = await startAdminServer({
    ...config.admin.listen,
    metrics: () => metrics.render(),
    contentType: metrics.contentType,
    ready: () => readinessOf(takeFreshness(parts)),
    log,
  });
  try {
    const rpc = await startRpcServer({
      ...config.rpc.listen,
      routes: createRoutes(dependencies, health),
      interceptors: [createValidateInterceptor()],
      maxMessageBytes: config.rpc.maxMessageBytes,
      onCall: (report) => {
        metrics.recordRpc(report);
        logCall(report);
      },
    });
    return { rpc, admin };
  } catch (error) {
    await admin.close();
    throw error;
  }
}

function createDomain({ config, log }: GatewayOptions, overrides: GatewayOverrides) {
  const clock = overrides.clock ?? systemClock;
  const revocationLog = overrides.revocationLog ?? new MemoryRevocationLog(() => clock.wallMs());
  const boundMs = config.revocations.stalenessBoundMs;
  const minHoldMs = config.cache.verdictTtlMs + config.clerk.timeoutMs + FORGET_SLACK_MS;
  const upstream = createUpstream(config, clock);
  const revocations = new Revocations({ clock, minHoldMs });
  const recorder = new Recorder({
    log: revocationLog,
    revocations,
    clock,
    origin: config.gateway.replica,
    retentionMs: config.revocations.retentionMs,
    minHoldMs,
    appendTimeoutMs: APPEND_TIMEOUT_MS,
    onAppendError: (err) =>
      log.error({ err }, "the revocation log did not take a revocation; it will be offered again"),
  });
  const feed = new RevocationFeed({
    log: revocationLog,
    revocations,
    clock,
    boundMs,
    onReadError: (err) => log.warn({ err }, "the revocation log cannot be read"),
    onRestart: () => {
      verifier.invalidate({ all: true });
      recorder.recordMissing();
    },
  });
  const cache = new VerdictCache({
    clock,
    ttlMs: config.cache.verdictTtlMs,
    refusalTtlMs: config.cache.refusalTtlMs,
    maxKnown: config.cache.maxEntries,
    maxKnownBytes: config.cache.maxBytes,
    maxRefused: config.cache.refusalMaxEntries,
  });
  const verifier = new Verifier({
    upstream,
    store: undefined,
    cache,
    revocations,
    feed,
    recorder,
    clock,
    digest: createDigester(upstream.verifyScope),
    minCursorTimeoutMs: config.clerk.timeoutMs,
  });
  const revoker = new Revoker({ upstream, verifier, recorder, revocations, clock, log: revocationLog, boundMs });
  return { clock, log: revocationLog, upstream, revocations, recorder, feed, cache, verifier, revoker };
}

function createUpstream({ clerk }: Config, clock: Clock): ClerkUpstream {
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
  });
}

/** grpc.health.v1 is told of changes by looking often: nothing else needs to know what the state depends on. */
function followFreshness(health: HealthStatuses, state: () => FreshnessState, clock: Clock): () => void {
  let cancel = () => {};
  const look = () => {
    setHealth(health, state());
    cancel = clock.after(HEALTH_INTERVAL_MS, look);
  };
  look();
  return () => cancel();
}

/** Serving is being able to decide; the freshness service says whether what is cached may be used to. */
function setHealth(health: HealthStatuses, state: FreshnessState): void {
  const serving = state !== "not_serving";
  for (const service of ["", ...SERVICES.map(({ typeName }) => typeName)]) health.setServing(service, serving);
  health.setServing(FRESHNESS_SERVICE, state === "synced" || state === "degraded");
}

function readinessOf({ state, cursor, stalenessMs }: FreshnessSnapshot): Readiness {
  return { ready: state !== "not_serving", detail: { state, cursor, staleness_ms: stalenessMs } };
}
