import { type AdminServer, type Readiness, startAdminServer } from "./admin/admin-server.ts";
import type { ConsoleRpcs } from "./admin/console-rpcs.ts";
import { createCallLog } from "./call-log.ts";
import type { Config } from "./config/settings.ts";
import type { TlsFiles } from "./config/tls-files.ts";
import { createDomain, type Domain, type GivenLog } from "./domain.ts";
import { FleetView } from "./fleet-view.ts";
import type { Logger } from "./logger.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { RecentErrors } from "./recent-errors.ts";
import { Admission } from "./rpc/admission.ts";
import type { CallReport } from "./rpc/call-report.ts";
import { wireStatus } from "./rpc/get-status.ts";
import { createHealth, type HealthStatuses } from "./rpc/health.ts";
import { createLanes } from "./rpc/lanes.ts";
import { LoopDelay } from "./rpc/loop-delay.ts";
import { encodeStatus, type WorkerStatuses } from "./rpc/merge-status.ts";
import { http1Exchange } from "./rpc/node-exchange.ts";
import type { RequestListener } from "./rpc/request-listener.ts";
import { CONSOLE_RPCS, createRoutes, FRESHNESS_SERVICE, SERVICES } from "./rpc/routes.ts";
import type { RpcDependencies } from "./rpc/rpc-dependencies.ts";
import { createRpcListener, type RpcServer, type RpcServerOptions, startRpcServer } from "./rpc/rpc-server.ts";
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
import type { InvalidationTarget } from "./token/verdict-cache.ts";

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

/** What a process of a host with workers has from the primary. */
export interface Host extends GivenLog {
  readonly spreadInvalidation: NonNullable<RpcDependencies["spreadInvalidation"]>;
  /** What those who serve the RPC port tell, for the process that does not. */
  readonly workers?: () => Promise<WorkerStatuses>;
}

/** A gateway without its admin port. */
export interface GatewayBody {
  readonly metrics: Metrics;
  /** The console's RPCs, for the admin port. They drain with all others. */
  readonly consoleRpcs: ConsoleRpcs;
  /** Forgets verdicts, as InvalidateCache does. */
  invalidate(target: InvalidationTarget): void;
  readiness(): Readiness;
  freshness(): FreshnessSnapshot;
  /** What GetStatus answers of this process, for the console of another one. */
  status(): string;
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
      consoleRpcs: body.consoleRpcs,
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

/** Builds a gateway that is able to decide and does not listen yet: one that runs alone, or a process of a host. */
export async function openGateway(
  options: GatewayOptions,
  overrides: GatewayOverrides = {},
  host?: Host,
): Promise<GatewayBody> {
  const { config, version } = options;
  const clock = overrides.clock ?? systemClock;
  const loopDelay = new LoopDelay(clock);
  const admission = new Admission(config.limits, loopDelay);
  const domain = createDomain(config, options.log, clock, host, () => admission.admitUnknown());
  await domain.start();
  const stopMeasuring = loopDelay.start();
  const lifetime = { draining: false };
  const recentErrors = new RecentErrors(() => domain.clock.wallMs());
  let rpc: RpcServer | undefined;
  const parts: StatusParts = {
    ...domain,
    version,
    replica: config.gateway.replica,
    startedAtMs: domain.clock.wallMs(),
    upstreamUrl: config.clerk.url,
    watchers: { open: 0, cut: 0 },
    open: () => rpc?.counts() ?? NOTHING_OPEN,
    overload: () => admission.snapshot(rpc?.counts().refusedStreams ?? 0),
    calls: () => metrics.callCounts(),
    recentErrors: () => recentErrors.latest,
    isDraining: () => lifetime.draining,
  };
  const health = createHealth(["", ...SERVICES.map((service) => service.typeName), FRESHNESS_SERVICE]);
  const metrics = createMetrics(version, () => takeStatus(parts));
  const dependencies = dependenciesOf(config, domain, admission, parts, host);
  const rpcOptions = rpcOptionsOf(options, dependencies, health, metrics, recentErrors);
  const listener = createRpcListener(rpcOptions);
  const stopHealth = followFreshness(health, () => freshnessState(parts), domain.clock);
  const close = async () => {
    lifetime.draining = true;
    stopHealth();
    setHealth(health, "not_serving");
    listener.drain();
    await rpc?.drain(config.rpc.drainGraceMs);
    stopMeasuring();
    await domain.close();
  };
  let closed: Promise<void> | undefined;
  return {
    metrics,
    consoleRpcs: consoleRpcsOf(listener),
    invalidate: (target) => domain.verifier.invalidate(target),
    readiness: () => readinessOf(takeFreshness(parts)),
    freshness: () => takeFreshness(parts),
    status: () => encodeStatus(wireStatus(takeStatus(parts), undefined)),
    async listen() {
      rpc = await startRpcServer(rpcOptions, listener);
      return rpc.url;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

function dependenciesOf(
  config: Config,
  domain: Domain,
  admission: Admission,
  parts: StatusParts,
  host: Host | undefined,
): RpcDependencies {
  const { fleet, clock } = domain;
  return {
    ...domain,
    watch: config.watch,
    maxMessageBytes: config.rpc.maxMessageBytes,
    watchers: parts.watchers,
    admission,
    spreadInvalidation: host?.spreadInvalidation,
    workers: host?.workers,
    status: () => takeStatus(parts),
    fleet: fleet === undefined ? undefined : new FleetView({ fleet, clock }),
    freshness: () => takeFreshness(parts),
    isDegraded: () => freshnessState(parts) !== "synced",
  };
}

function rpcOptionsOf(
  { config, log, tls }: GatewayOptions,
  dependencies: RpcDependencies,
  health: HealthStatuses,
  metrics: Metrics,
  recentErrors: RecentErrors,
): RpcServerOptions {
  const logCall = createCallLog(log, dependencies.clock);
  const onCall = (report: CallReport) => {
    metrics.recordRpc(report);
    recentErrors.note(report, 1);
    logCall(report);
  };
  const onCalls = (report: CallReport, count: number) => {
    metrics.recordRpc(report, count);
    recentErrors.note(report, count);
    if (log.isLevelEnabled("debug")) for (let i = 0; i < count; i++) logCall(report);
  };
  return {
    listen: config.rpc.listen,
    tls,
    transport: config.rpc.transport,
    admission: dependencies.admission,
    onEngineError: (err) => log.error({ err }, "a connection failed"),
    routes: createRoutes(dependencies, health),
    interceptors: [createValidateInterceptor()],
    maxMessageBytes: config.rpc.maxMessageBytes,
    onCall,
    lanes: createLanes(dependencies, onCall, onCalls),
  };
}

function consoleRpcsOf(listener: RequestListener): ConsoleRpcs {
  return {
    has: (path) => CONSOLE_RPCS.has(path),
    serve: (request, response) => listener.handle(http1Exchange(request, response)),
  };
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
