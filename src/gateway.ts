import { type Access, openAccess } from "./access.ts";
import { type AdminServer, type QuitRefusal, type Readiness, startAdminServer } from "./admin/admin-server.ts";
import type { ConsoleRpcs } from "./admin/console-rpcs.ts";
import type { Config } from "./config/settings.ts";
import type { TlsFiles } from "./config/tls-files.ts";
import { readUpstreamTls } from "./config.ts";
import { createDomain, type Domain } from "./domain.ts";
import { adminOptions } from "./gateway/admin-options.ts";
import type { GatewayOptions, Host } from "./gateway/gateway-options.ts";
import { openReloads } from "./gateway/open-reloads.ts";
import { openTraces } from "./gateway/open-traces.ts";
import { consoleRpcsOf, dependenciesOf, quitRefusalOf, rpcOptionsOf } from "./gateway/serve-calls.ts";
import { followState, HEALTH_SERVICES, readinessOf, setHealth } from "./gateway/states.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { RecentErrors } from "./recent-errors.ts";
import type { Reloads } from "./reload/reloads.ts";
import { Admission } from "./rpc/admission.ts";
import { wireStatus } from "./rpc/get-status.ts";
import { createHealth } from "./rpc/health.ts";
import { LoopDelay } from "./rpc/loop-delay.ts";
import { encodeStatus } from "./rpc/merge-status.ts";
import type { RequestListener } from "./rpc/request-listener.ts";
import { createRpcListener, type RpcServer, type RpcServerOptions, startRpcServer } from "./rpc/rpc-server.ts";
import type { FilesSnapshot } from "./status/snapshots.ts";
import { type FreshnessSnapshot, type StatusParts, takeFreshness, takeStatus } from "./status.ts";
import { systemClock } from "./system-clock.ts";
import type { Clock } from "./token/ports.ts";
import type { InvalidationTarget } from "./token/verdict-cache.ts";
import type { Tracing } from "./tracing/tracing.ts";

/** Parts that tests replace. */
export interface GatewayOverrides {
  readonly clock?: Clock;
}

/** A gateway without its admin port. */
export interface GatewayBody {
  readonly metrics: Metrics;
  /** The console's RPCs, for the admin port. They drain with all others. */
  readonly consoleRpcs: ConsoleRpcs;
  /** Of who asks the admin port to end the gateway. */
  readonly quitRefusal: QuitRefusal;
  /** Forgets verdicts, as InvalidateCache does. */
  invalidate(target: InvalidationTarget): void;
  readiness(): Readiness;
  freshness(): FreshnessSnapshot;
  /** The gateway's keys that the upstream rejected when this process last asked with them. */
  rejectedKeys(): readonly string[];
  /** What GetStatus answers of this process, for the console of another one. */
  status(): string;
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
  /** Where the console, health, readiness and metrics are served. */
  readonly adminUrl: string;
  /**
   * NOT_SERVING first, then streams end with their cursors, calls under way finish within the grace, and everything else
   * is closed in the reverse order of its making. Later calls return the first one's promise.
   */
  close(): Promise<void>;
}

/** Builds a gateway and starts it. It listens only when it is able to decide. */
export async function startGateway(options: GatewayOptions, overrides: GatewayOverrides = {}): Promise<Gateway> {
  let admin: AdminServer | undefined;
  const body = await openGateway({ ...options, onTls: (tls) => admin?.useTls(tls) }, overrides);
  try {
    admin = await startAdminServer({
      ...adminOptions(options.config.admin, { ...body, onQuit: options.onQuit }),
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
  given: GatewayOptions & { readonly onTls?: (tls: TlsFiles) => void },
  overrides: GatewayOverrides = {},
  host?: Host,
): Promise<GatewayBody> {
  const { config } = given;
  const clock = overrides.clock ?? systemClock;
  const { tracing, log } = await openTraces(given, clock);
  const options = { ...given, log };
  const access = openAccess(config, log, clock);
  const loopDelay = new LoopDelay(clock);
  const admission = new Admission(config.limits, loopDelay);
  const domain = createDomain(config, log, clock, host, admission, tracing);
  const port: Port = { rpc: undefined, draining: false };
  const reloads = openReloads({ ...options, upstreamTls: readUpstreamTls(config) }, domain, (tls) => {
    port.rpc?.useTls(tls);
    options.onTls?.(tls);
  });
  const stop = await startParts(reloads, domain, loopDelay);
  const recentErrors = new RecentErrors(() => clock.wallMs());
  const parts = statusParts(
    options,
    domain,
    port,
    { admission, access, reloads, recentErrors, tracing },
    () => metrics,
  );
  const health = createHealth(HEALTH_SERVICES);
  const metrics = createMetrics(options.version, () => takeStatus(parts));
  const rpcOptions = rpcOptionsOf(
    { ...options, tls: reloads.tls },
    dependenciesOf(config, domain, admission, parts, host),
    { health, metrics, recentErrors, tracing, access, ownKeys: domain.ownKeys },
  );
  const listener = createRpcListener(rpcOptions);
  const stopHealth = followState(health, parts);
  const close = async () => {
    port.draining = true;
    stopHealth();
    setHealth(health, parts);
    await drain(port, listener, clock, config.rpc);
    access.close();
    await stop();
    await tracing?.close();
  };
  let closed: Promise<void> | undefined;
  return {
    metrics,
    consoleRpcs: consoleRpcsOf(listener, config),
    quitRefusal: quitRefusalOf(access, config),
    invalidate: (target) => domain.verifier.invalidate(target),
    ...reportsOf(parts),
    tls: () => reloads.tls,
    async listen() {
      port.rpc = await openPort(rpcOptions, reloads, listener);
      return port.rpc.url;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

/** What a gateway tells of itself. */
function reportsOf(parts: StatusParts): Pick<GatewayBody, "readiness" | "freshness" | "rejectedKeys" | "status"> {
  return {
    readiness: () => readinessOf(parts),
    freshness: () => takeFreshness(parts),
    rejectedKeys: () => parts.upstream.rejectedKeys,
    status: () => encodeStatus(wireStatus(takeStatus(parts), undefined)),
  };
}

/** The RPC port, once it is open, and whether it is about to close. */
interface Port {
  rpc: RpcServer | undefined;
  draining: boolean;
}

function withReloads(files: FilesSnapshot, more: FilesSnapshot["reloads"]): FilesSnapshot {
  return { ...files, reloads: [...files.reloads, ...more] };
}

async function openPort(options: RpcServerOptions, reloads: Reloads, listener: RequestListener): Promise<RpcServer> {
  const { tls } = reloads;
  const rpc = await startRpcServer({ ...options, tls }, listener);
  // What was replaced while the port was being opened was told to nobody.
  if (reloads.tls !== undefined && reloads.tls !== tls) rpc.useTls(reloads.tls);
  return rpc;
}

/** Load balancers are given time to notice first; then streams end, and calls under way finish. */
async function drain(
  { rpc }: Port,
  listener: RequestListener,
  clock: Clock,
  { drainDelayMs, drainGraceMs }: Config["rpc"],
): Promise<void> {
  if (rpc !== undefined) await pause(clock, drainDelayMs);
  const lateAtMs = clock.monotonicMs() + drainGraceMs;
  listener.drain();
  await rpc?.drain(drainGraceMs);
  // The console's calls come by another port, and what was begun for callers who left goes on.
  await unlessLate(listener.settled(), clock, Math.max(0, lateAtMs - clock.monotonicMs()));
}

async function unlessLate(work: Promise<void>, clock: Clock, ms: number): Promise<void> {
  let cancel = () => {};
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(ms, resolve);
  });
  await Promise.race([work, late]);
  cancel();
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

const NO_SPANS = { exported: 0, failed: 0, dropped: 0 };
const NOTHING_OPEN = { connections: 0, streams: 0, refusedStreams: 0 };

interface Told {
  readonly admission: Admission;
  readonly access: Access;
  readonly reloads: Reloads;
  readonly recentErrors: RecentErrors;
  readonly tracing: Tracing | undefined;
}

function statusParts(
  { config, version }: GatewayOptions,
  domain: Domain,
  port: Port,
  { admission, access, reloads, recentErrors, tracing }: Told,
  metrics: () => Metrics,
): StatusParts {
  return {
    ...domain,
    version,
    replica: config.gateway.replica,
    startedAtMs: domain.clock.wallMs(),
    upstreamUrl: config.clerk.url,
    watchers: { open: 0, cut: 0 },
    spans: () => tracing?.counts ?? NO_SPANS,
    open: () => port.rpc?.counts() ?? NOTHING_OPEN,
    overload: () => admission.snapshot(port.rpc?.counts().refusedStreams ?? 0),
    calls: () => metrics().callCounts(),
    recentErrors: () => recentErrors.latest,
    isDraining: () => port.draining,
    files: () => withReloads(reloads.snapshot(), access.reloads()),
    callers: () => access.callers(),
  };
}

function pause(clock: Clock, ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => clock.after(ms, resolve));
}
