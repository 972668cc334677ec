import type { Access } from "../access.ts";
import type { QuitRefusal } from "../admin/admin-server.ts";
import type { ConsoleRpcs } from "../admin/console-rpcs.ts";
import { CallLog } from "../call-log.ts";
import { createPeers } from "../callers/peer.ts";
import { isLocal } from "../config/endpoint.ts";
import type { Config } from "../config/settings.ts";
import type { Domain } from "../domain.ts";
import { FleetView } from "../fleet-view.ts";
import type { Metrics } from "../metrics.ts";
import { observeCalls } from "../observe-calls.ts";
import type { RecentErrors } from "../recent-errors.ts";
import type { Admission } from "../rpc/admission.ts";
import { CallQueue } from "../rpc/call-queue.ts";
import { DirectVerify } from "../rpc/direct-verify.ts";
import type { HealthStatuses } from "../rpc/health.ts";
import { createLanes } from "../rpc/lanes.ts";
import { http1Exchange } from "../rpc/node-exchange.ts";
import { outcomeInterceptor } from "../rpc/outcome-interceptor.ts";
import type { RequestListener } from "../rpc/request-listener.ts";
import { CONSOLE_RPCS, createRoutes, SERVICES } from "../rpc/routes.ts";
import type { RpcDependencies } from "../rpc/rpc-dependencies.ts";
import type { RpcServerOptions } from "../rpc/rpc-server.ts";
import { compileRules, createValidateInterceptor } from "../rpc/validate-interceptor.ts";
import { freshnessState, type StatusParts, takeFreshness, takeStatus } from "../status.ts";
import { GatewayError } from "../token/errors.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { GatewayOptions, Host } from "./gateway-options.ts";
import { listenOptions } from "./listen-options.ts";

/** What RPCs are served from. */
export function dependenciesOf(
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

export interface CallWatchers {
  readonly access: Access;
  readonly ownKeys: Domain["ownKeys"];
  readonly health: HealthStatuses;
  readonly metrics: Metrics;
  readonly recentErrors: RecentErrors;
  readonly tracing: Tracing | undefined;
}

/** How RPCs are served, and who hears of each. */
export function rpcOptionsOf(
  { config, log, tls }: GatewayOptions,
  dependencies: RpcDependencies,
  { access, ownKeys, health, metrics, recentErrors, tracing }: CallWatchers,
): RpcServerOptions {
  const callLog = new CallLog(log, dependencies.clock, config.log.access);
  const logsAll = log.isLevelEnabled("debug");
  compileRules(SERVICES);
  const queue = new CallQueue();
  const observers = observeCalls({ metrics, recentErrors, log: callLog, logsAll, tracing });
  return {
    listen: listenOptions(config.rpc),
    tls,
    transport: config.rpc.transport,
    admission: dependencies.admission,
    onEngineError: (err) => log.error({ err }, "a connection failed"),
    routes: createRoutes(dependencies, health),
    directs: [new DirectVerify(dependencies)],
    interceptors: [...(observers.watch === undefined ? [] : [outcomeInterceptor]), createValidateInterceptor()],
    maxMessageBytes: config.rpc.maxMessageBytes,
    access: access.control,
    ownKeys,
    onAudit: access.onAudit,
    observe: observers.observe,
    queue,
    lanes: createLanes(dependencies, access.control, observers, queue),
  };
}

/** Whoever may do everything may end the gateway too: everybody where callers are not told apart. */
export function quitRefusalOf({ control }: Access, { admin }: Config): QuitRefusal {
  const peerOf = createPeers(isLocal(admin.listen));
  return ({ socket, headers }) => {
    if (!control.guard.callers.isConfigured) return undefined;
    try {
      control.guard.admit(peerOf(socket).badge(headers.authorization), "admin").release();
      return undefined;
    } catch (error) {
      if (error instanceof GatewayError) return error.message;
      throw error;
    }
  };
}

/** The console's RPCs, for those whom the admin port takes the callers to be. */
export function consoleRpcsOf(listener: RequestListener, { admin }: Config): ConsoleRpcs {
  const peerOf = createPeers(isLocal(admin.listen));
  return {
    has: (path) => CONSOLE_RPCS.has(path),
    serve: (request, response) => listener.handle(http1Exchange(request, response, peerOf(request.socket))),
  };
}
