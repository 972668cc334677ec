import { type Readiness, startAdminServer } from "./admin/admin-server.ts";
import { createCallLog } from "./call-log.ts";
import type { Config } from "./config/settings.ts";
import { createDomain, type Domain } from "./domain.ts";
import type { Logger } from "./logger.ts";
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
import type { Clock } from "./token/ports.ts";

export interface GatewayOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly version: string;
}

/** Parts that tests replace. */
export interface GatewayOverrides {
  readonly clock?: Clock;
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

const HEALTH_INTERVAL_MS = 250;

/** Builds a gateway and starts it. It listens only when it is able to decide. */
export async function startGateway(options: GatewayOptions, overrides: GatewayOverrides = {}): Promise<Gateway> {
  const { config, version } = options;
  const domain = createDomain(config, options.log, overrides.clock ?? systemClock);
  await domain.start();
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
    await domain.close();
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
  domain: Domain,
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
