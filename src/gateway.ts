import { type Access, openAccess } from "./access.ts";
import { type AdminServer, type Readiness, startAdminServer } from "./admin/admin-server.ts";
import { createCallLog } from "./call-log.ts";
import type { Config } from "./config/settings.ts";
import type { TlsFiles } from "./config/tls-files.ts";
import { createDomain, type Domain } from "./domain.ts";
import type { Logger } from "./logger.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { CallReport } from "./rpc/call-report.ts";
import { createHealth, type HealthStatuses } from "./rpc/health.ts";
import { createLanes } from "./rpc/lanes.ts";
import { createRoutes, FRESHNESS_SERVICE, SERVICES } from "./rpc/routes.ts";
import type { RpcDependencies } from "./rpc/rpc-dependencies.ts";
import { type RpcServer, startRpcServer } from "./rpc/rpc-server.ts";
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
import type { Clock, RevocationLog } from "./token/ports.ts";

export interface GatewayOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly version: string;
  /** Serves RPCs over TLS. */
  readonly tls?: TlsFiles | undefined;
}

/** Parts that tests replace. */
export interface GatewayOverrides {
  readonly clock?: Clock;
}

/** A gateway without its admin port. */
export interface GatewayBody {
  readonly metrics: Metrics;
  readiness(): Readiness;
  freshness(): FreshnessSnapshot;
  /** Serves RPCs from now on. Returns where. */
  listen(): Promise<string>;
  /** As `Gateway.close`. Later calls return the first one's promise. */
  close(): Promise<void>;
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
  const body = await openGateway(options, overrides);
  let admin: AdminServer | undefined;
  try {
    admin = await startAdminServer({
      ...options.config.admin.listen,
      metrics: () => body.metrics.render(),
      contentType: body.metrics.contentType,
      ready: () => body.readiness(),
      log: options.log,
    });
    const { url: adminUrl, close: closeAdmin } = admin;
    const url = await body.listen();
    return { url, adminUrl, close: () => body.close().then(closeAdmin) };
  } catch (error) {
    await body.close();
    await admin?.close();
    throw error;
  }
}

/** Builds a gateway that is able to decide and does not listen yet. `revocationLog`: as for `createDomain`. */
export async function openGateway(
  options: GatewayOptions,
  overrides: GatewayOverrides = {},
  revocationLog?: RevocationLog,
): Promise<GatewayBody> {
  const { config, version } = options;
  const clock = overrides.clock ?? systemClock;
  const access = openAccess(config, options.log, clock);
  const domain = createDomain(config, options.log, clock, revocationLog);
  await domain.start();
  const lifetime = { draining: false };
  let rpc: RpcServer | undefined;
  const parts: StatusParts = {
    ...domain,
    version,
    replica: config.gateway.replica,
    startedAtMs: domain.clock.wallMs(),
    upstreamUrl: config.clerk.url,
    watchers: { open: 0, cut: 0 },
    open: () => rpc?.counts() ?? { connections: 0, streams: 0 },
    isDraining: () => lifetime.draining,
  };
  const health = createHealth(["", ...SERVICES.map((service) => service.typeName), FRESHNESS_SERVICE]);
  const metrics = createMetrics(version, () => takeStatus(parts));
  const stopHealth = followFreshness(health, () => freshnessState(parts), domain.clock);
  const close = async () => {
    lifetime.draining = true;
    stopHealth();
    setHealth(health, "not_serving");
    await rpc?.drain(config.rpc.drainGraceMs);
    access.close();
    await domain.close();
  };
  let closed: Promise<void> | undefined;
  return {
    metrics,
    readiness: () => readinessOf(takeFreshness(parts)),
    freshness: () => takeFreshness(parts),
    async listen() {
      rpc = await serveRpcs(options, domain, access, parts, health, metrics);
      return rpc.url;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

function serveRpcs(
  { config, log, tls }: GatewayOptions,
  domain: Domain,
  access: Access,
  parts: StatusParts,
  health: HealthStatuses,
  metrics: Metrics,
): Promise<RpcServer> {
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
  const onCall = (report: CallReport) => {
    metrics.recordRpc(report);
    logCall(report);
  };
  const onCalls = (report: CallReport, count: number) => {
    metrics.recordRpc(report, count);
    if (log.isLevelEnabled("debug")) for (let i = 0; i < count; i++) logCall(report);
  };
  return startRpcServer({
    listen: config.rpc.listen,
    tls,
    transport: config.rpc.transport,
    onEngineError: (err) => log.error({ err }, "a connection failed"),
    routes: createRoutes(dependencies, health),
    interceptors: [createValidateInterceptor()],
    maxMessageBytes: config.rpc.maxMessageBytes,
    access: access.control,
    onCall,
    onAudit: access.onAudit,
    lanes: createLanes(dependencies, access.control, onCall, onCalls),
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
