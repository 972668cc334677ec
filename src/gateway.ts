import { type Access, openAccess } from "./access.ts";
import { type AdminServer, type Readiness, startAdminServer } from "./admin/admin-server.ts";
import { createCallLog } from "./call-log.ts";
import type { KeyFiles } from "./config/key-files.ts";
import type { Config } from "./config/settings.ts";
import type { TlsFiles } from "./config/tls-files.ts";
import { readUpstreamTls } from "./config.ts";
import { createDomain, type Domain } from "./domain.ts";
import { adminOptions } from "./gateway/admin-options.ts";
import { listenOptions } from "./gateway/listen-options.ts";
import { openReloads } from "./gateway/open-reloads.ts";
import { followState, HEALTH_SERVICES, readinessOf, setHealth } from "./gateway/states.ts";
import type { Logger } from "./logger.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { Reloads } from "./reload/reloads.ts";
import { Admission } from "./rpc/admission.ts";
import type { CallReport } from "./rpc/call-report.ts";
import { createHealth, type HealthStatuses } from "./rpc/health.ts";
import { createLanes } from "./rpc/lanes.ts";
import { LoopDelay } from "./rpc/loop-delay.ts";
import { createRoutes } from "./rpc/routes.ts";
import type { RpcDependencies } from "./rpc/rpc-dependencies.ts";
import { type RpcServer, startRpcServer } from "./rpc/rpc-server.ts";
import { createValidateInterceptor } from "./rpc/validate-interceptor.ts";
import {
  type FilesSnapshot,
  type FreshnessSnapshot,
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
  /** The files that the keys of the upstream are taken from, now and whenever they change. */
  readonly keyFiles?: KeyFiles | undefined;
  /** Called for `POST /quit` of the admin port. */
  readonly onQuit?: (() => void) | undefined;
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
  /** The certificate in use. */
  tls(): TlsFiles | undefined;
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

const NOTHING_OPEN = { connections: 0, streams: 0, refusedStreams: 0 };

/** Builds a gateway and starts it. It listens only when it is able to decide. */
export async function startGateway(options: GatewayOptions, overrides: GatewayOverrides = {}): Promise<Gateway> {
  let admin: AdminServer | undefined;
  const body = await openGateway({ ...options, onTls: (tls) => admin?.useTls(tls) }, overrides);
  try {
    admin = await startAdminServer({
      ...adminOptions(options.config.admin, body.tls(), options.onQuit),
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
  options: GatewayOptions & { readonly onTls?: (tls: TlsFiles) => void },
  overrides: GatewayOverrides = {},
  revocationLog?: RevocationLog,
): Promise<GatewayBody> {
  const { config, version } = options;
  const clock = overrides.clock ?? systemClock;
  const upstreamTls = readUpstreamTls(config);
  const access = openAccess(config, options.log, clock);
  const loopDelay = new LoopDelay(clock);
  const admission = new Admission(config.limits, loopDelay);
  const domain = createDomain(config, options.log, clock, revocationLog, () => admission.admitUnknown());
  const lifetime = { draining: false };
  let rpc: RpcServer | undefined;
  const reloads = openReloads({ ...options, upstreamTls }, domain, (tls) => {
    rpc?.useTls(tls);
    options.onTls?.(tls);
  });
  const stop = await startParts(reloads, domain, loopDelay);
  const parts: StatusParts = {
    ...domain,
    version,
    replica: config.gateway.replica,
    startedAtMs: domain.clock.wallMs(),
    upstreamUrl: config.clerk.url,
    watchers: { open: 0, cut: 0 },
    open: () => rpc?.counts() ?? NOTHING_OPEN,
    overload: () => admission.snapshot(rpc?.counts().refusedStreams ?? 0),
    isDraining: () => lifetime.draining,
    files: () => withReloads(reloads.snapshot(), access.reloads()),
    callers: () => access.callers(),
  };
  const health = createHealth(HEALTH_SERVICES);
  const metrics = createMetrics(version, () => takeStatus(parts));
  const stopHealth = followState(health, parts);
  const close = async () => {
    lifetime.draining = true;
    stopHealth();
    setHealth(health, parts);
    if (rpc !== undefined) await pause(domain.clock, config.rpc.drainDelayMs);
    await rpc?.drain(config.rpc.drainGraceMs);
    access.close();
    await stop();
  };
  let closed: Promise<void> | undefined;
  return {
    metrics,
    readiness: () => readinessOf(parts),
    freshness: () => takeFreshness(parts),
    tls: () => reloads.tls,
    async listen() {
      const open = { ...options, tls: reloads.tls };
      rpc = await serveRpcs(open, domain, access, parts, health, metrics, admission);
      return rpc.url;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

function withReloads(files: FilesSnapshot, more: FilesSnapshot["reloads"]): FilesSnapshot {
  return { ...files, reloads: [...files.reloads, ...more] };
}

/** Returns how to stop them, in the reverse order. */
async function startParts(reloads: Reloads, domain: Domain, loopDelay: LoopDelay): Promise<() => Promise<void>> {
  // What another process read may have been replaced since.
  await reloads.look();
  await domain.start();
  reloads.start();
  const stopMeasuring = loopDelay.start();
  return async () => {
    stopMeasuring();
    reloads.close();
    await domain.close();
  };
}

function serveRpcs(
  { config, log, tls }: GatewayOptions,
  domain: Domain,
  access: Access,
  parts: StatusParts,
  health: HealthStatuses,
  metrics: Metrics,
  admission: Admission,
): Promise<RpcServer> {
  const dependencies: RpcDependencies = {
    ...domain,
    watch: config.watch,
    maxMessageBytes: config.rpc.maxMessageBytes,
    watchers: parts.watchers,
    admission,
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
    listen: listenOptions(config.rpc),
    tls,
    transport: config.rpc.transport,
    admission,
    onEngineError: (err) => log.error({ err }, "a connection failed"),
    routes: createRoutes(dependencies, health),
    interceptors: [createValidateInterceptor()],
    maxMessageBytes: config.rpc.maxMessageBytes,
    access: access.control,
    ownKeys: domain.ownKeys,
    onCall,
    onAudit: access.onAudit,
    lanes: createLanes(dependencies, access.control, onCall, onCalls),
  });
}

function pause(clock: Clock, ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => clock.after(ms, resolve));
}
