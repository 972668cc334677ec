import { type AdminServer, type Readiness, startAdminServer } from "./admin/admin-server.ts";
import { CallLog } from "./call-log.ts";
import type { Config } from "./config/settings.ts";
import type { TlsFiles } from "./config/tls-files.ts";
import { createDomain, type Domain, everyTenSeconds } from "./domain.ts";
import { type Logger, withFields } from "./logger.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { observeCalls } from "./observe-calls.ts";
import { Admission } from "./rpc/admission.ts";
import { createHealth, type HealthStatuses } from "./rpc/health.ts";
import { createLanes } from "./rpc/lanes.ts";
import { LoopDelay } from "./rpc/loop-delay.ts";
import { outcomeInterceptor } from "./rpc/outcome-interceptor.ts";
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
import type { InvalidationTarget } from "./token/verdict-cache.ts";
import type { Tracing } from "./tracing/tracing.ts";

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

/** What a worker has from its primary. */
export interface Host {
  /** As for `createDomain`. */
  readonly revocationLog: RevocationLog;
  readonly spreadInvalidation: NonNullable<RpcDependencies["spreadInvalidation"]>;
}

/** A gateway without its admin port. */
export interface GatewayBody {
  readonly metrics: Metrics;
  /** Forgets verdicts, as InvalidateCache does. */
  invalidate(target: InvalidationTarget): void;
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
const NO_SPANS = { exported: 0, failed: 0, dropped: 0 };
const NOTHING_OPEN = { connections: 0, streams: 0, refusedStreams: 0 };

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

/** Builds a gateway that is able to decide and does not listen yet: one that runs alone, or a worker of a host. */
export async function openGateway(
  options: GatewayOptions,
  overrides: GatewayOverrides = {},
  host?: Host,
): Promise<GatewayBody> {
  const { config, version } = options;
  const clock = overrides.clock ?? systemClock;
  const tracing = await openTraces(options, clock);
  const log = tracing === undefined ? options.log : withFields(options.log, () => tracing.ids());
  const loopDelay = new LoopDelay(clock);
  const admission = new Admission(config.limits, loopDelay);
  const domain = createDomain(config, log, clock, host?.revocationLog, () => admission.admitUnknown(), tracing);
  await domain.start();
  const stopMeasuring = loopDelay.start();
  const lifetime = { draining: false };
  let rpc: RpcServer | undefined;
  const parts: StatusParts = {
    ...domain,
    version,
    replica: config.gateway.replica,
    startedAtMs: domain.clock.wallMs(),
    upstreamUrl: config.clerk.url,
    watchers: { open: 0, cut: 0 },
    spans: () => tracing?.counts ?? NO_SPANS,
    open: () => rpc?.counts() ?? NOTHING_OPEN,
    overload: () => admission.snapshot(rpc?.counts().refusedStreams ?? 0),
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
    stopMeasuring();
    await domain.close();
    await tracing?.close();
  };
  let closed: Promise<void> | undefined;
  return {
    metrics,
    invalidate: (target) => domain.verifier.invalidate(target),
    readiness: () => readinessOf(takeFreshness(parts)),
    freshness: () => takeFreshness(parts),
    async listen() {
      const { spreadInvalidation } = host ?? {};
      const more = { admission, spreadInvalidation };
      rpc = await serveRpcs({ ...options, log }, domain, parts, health, metrics, more, tracing);
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
  parts: StatusParts,
  health: HealthStatuses,
  metrics: Metrics,
  more: Pick<RpcDependencies, "admission" | "spreadInvalidation">,
  tracing: Tracing | undefined,
): Promise<RpcServer> {
  const dependencies: RpcDependencies = {
    ...domain,
    watch: config.watch,
    maxMessageBytes: config.rpc.maxMessageBytes,
    watchers: parts.watchers,
    ...more,
    status: () => takeStatus(parts),
    freshness: () => takeFreshness(parts),
    isDegraded: () => freshnessState(parts) !== "synced",
  };
  const callLog = new CallLog(log, domain.clock, config.log.access);
  const observers = observeCalls({ metrics, log: callLog, logsAll: log.isLevelEnabled("debug"), tracing });
  return startRpcServer({
    listen: config.rpc.listen,
    tls,
    transport: config.rpc.transport,
    admission: more.admission,
    onEngineError: (err) => log.error({ err }, "a connection failed"),
    routes: createRoutes(dependencies, health),
    interceptors: [...(observers.watch === undefined ? [] : [outcomeInterceptor]), createValidateInterceptor()],
    maxMessageBytes: config.rpc.maxMessageBytes,
    onCall: metrics.recordRpc,
    observe: observers.observe,
    lanes: createLanes(dependencies, observers),
  });
}

/** Traces where they are on; else not even the packages that make them are loaded. */
async function openTraces({ config, log, version }: GatewayOptions, clock: Clock): Promise<Tracing | undefined> {
  const { tracing: settings, clerk, gateway } = config;
  const { endpoint, disabled } = settings;
  if (endpoint === undefined || disabled) return undefined;
  const { openTracing } = await import("./tracing/open-tracing.ts");
  return openTracing({
    settings,
    endpoint,
    version,
    instance: gateway.replica,
    upstreamUrl: clerk.url,
    clock,
    onError: everyTenSeconds(clock, (err) => log.warn({ err }, "traces cannot be sent")),
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
