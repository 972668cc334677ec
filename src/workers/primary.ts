import cluster from "node:cluster";
import { type AdminServer, startAdminServer } from "../admin/admin-server.ts";
import type { TlsFiles } from "../config/tls-files.ts";
import type { LoadedConfig } from "../config.ts";
import { adminOptions } from "../gateway/admin-options.ts";
import type { Host } from "../gateway/gateway-options.ts";
import { type GatewayBody, openGateway } from "../gateway.ts";
import type { Logger } from "../logger.ts";
import { fleetOfOne, MemoryRevocationLog } from "../memory/memory-revocation-log.ts";
import { openRedisLog } from "../redis-tier.ts";
import { createTlsReloader } from "../reload/reloads.ts";
import { systemClock } from "../system-clock.ts";
import type { Fleet } from "../token/ports.ts";
import { type Channel, localChannels } from "./channel.ts";
import { pagesOf } from "./host-pages.ts";
import { InvalidationRelay } from "./invalidation-relay.ts";
import { LogMirror } from "./log-mirror.ts";
import { RelayedInvalidations } from "./relayed-invalidations.ts";
import { RelayedRevocationLog } from "./relayed-revocation-log.ts";
import { RevocationLogRelay } from "./revocation-log-relay.ts";
import { consoleConfig, workerName } from "./worker-config.ts";
import { WorkerSlot } from "./worker-slot.ts";

export interface PrimaryOptions {
  readonly version: string;
  readonly loaded: LoadedConfig;
  readonly log: Logger;
  /** Called for `POST /quit` of the admin port. */
  readonly onQuit?: (() => void) | undefined;
}

export interface Primary {
  /** Where the workers serve RPCs. */
  readonly url: string;
  readonly adminUrl: string;
  /** Drains all workers, then closes the rest. */
  close(): Promise<void>;
}

/** A worker said why it could not start. */
export class WorkerFailed extends Error {
  override readonly name = "WorkerFailed";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`a worker ended with ${exitCode} before it served`);
    this.exitCode = exitCode;
  }
}

/** On top of the grace for calls under way: what closing the rest of a worker may take. */
const STOP_SLACK_MS = 5_000;
const READ_TIMEOUT_MS = 10_000;
const NOT_UNDERSTOOD = "a message of a worker is not understood";

/**
 * Starts as many workers as are configured and the admin port, and follows the log for all of them. Workers that end are
 * started again.
 *
 * @throws ConfigError, WorkerFailed, Error the system's, when the admin port cannot be listened at
 */
export async function startPrimary({ loaded, log, version, onQuit }: PrimaryOptions): Promise<Primary> {
  const { config } = loaded;
  // The file of a Unix socket is made by this process; its workers share it out.
  if ("path" in config.rpc.listen) process.umask(0o177);
  const upstreamOfLog = openLog(loaded, log);
  const invalidations = new InvalidationRelay((err) => log.error({ err }, NOT_UNDERSTOOD));
  const attach: Attach = (name, channel) => {
    const ends = [upstreamOfLog.relay.attach(name, channel), invalidations.attach(channel)];
    return () => {
      for (const end of ends) end();
    };
  };
  const slots = createSlots(loaded, log, attach);
  const lifetime = { draining: false };
  let admin: AdminServer | undefined;
  let usedTls = loaded.tls;
  const tls = watchTls(loaded, log, (used) => {
    usedTls = used;
    admin?.useTls(used);
  });
  let body: GatewayBody | undefined;
  const close = async () => {
    lifetime.draining = true;
    const { drainDelayMs, drainGraceMs } = config.rpc;
    const stopped = slots.map((slot) => slot.stop(drainDelayMs + drainGraceMs + STOP_SLACK_MS));
    // All have the same time to finish what is under way.
    await Promise.all([body?.close(), ...stopped]);
    tls?.close();
    await upstreamOfLog.close();
    await admin?.close();
  };
  try {
    body = await openConsoleBody({ loaded, log, version }, upstreamOfLog.fleet, attach, slots);
    admin = await startAdminServer({
      ...adminOptions(config.admin, { ...body, tls: () => usedTls, onQuit }),
      ...pagesOf(slots, body, () => lifetime.draining),
      consoleRpcs: body.consoleRpcs,
      log,
    });
    const url = await startSlots(slots);
    return { url, adminUrl: admin.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The admin port's certificate is this process's to renew; the workers renew their own. */
function watchTls({ config, tls }: LoadedConfig, log: Logger, apply: (tls: TlsFiles) => void) {
  if (tls === undefined || !config.admin.tls) return undefined;
  const reloader = createTlsReloader({ config, log, clock: systemClock }, tls, apply);
  reloader.start();
  return reloader;
}

function openLog({ config }: LoadedConfig, log: Logger) {
  const clock = systemClock;
  const redis = openRedisLog({ config, log, clock });
  const memory = new MemoryRevocationLog(() => clock.wallMs());
  const revocationLog = redis?.log ?? memory;
  const { stalenessBoundMs: boundMs, retentionMs } = config.revocations;
  const relay = new RevocationLogRelay({
    log: revocationLog,
    // No verdict lives as long as a revocation is remembered: the configuration is checked for that.
    mirror: new LogMirror({ clock, minHoldMs: retentionMs }),
    clock,
    boundMs,
    onError: (err) => log.error({ err }, NOT_UNDERSTOOD),
  });
  return {
    relay,
    fleet: redis?.fleet ?? fleetOfOne(config.gateway.replica, memory),
    async close() {
      await relay.close();
      await (redis ?? revocationLog).close();
    },
  };
}

type Attach = (name: string, channel: Channel) => () => void;

/**
 * A gateway that no RPC port leads to: what answers the console. It follows the log as a worker does, and counts as one for
 * the fleet, because it decides from a cache of its own.
 */
async function openConsoleBody(
  { loaded, log, version }: PrimaryOptions,
  fleet: Fleet,
  attach: Attach,
  slots: readonly WorkerSlot[],
): Promise<GatewayBody> {
  const [here, there] = localChannels();
  const detach = attach(workerName(loaded.config.gateway.replica, 0), there);
  const onError = (err: unknown) => log.error({ err }, "a message within the process is not understood");
  const invalidations = new RelayedInvalidations(here, onError);
  const host: Host = {
    fleet,
    revocationLog: new RelayedRevocationLog({
      channel: here,
      clock: systemClock,
      readTimeoutMs: READ_TIMEOUT_MS,
      onError,
    }),
    spreadInvalidation: (target, signal) => invalidations.spread(target, signal),
    workers: () => readStatuses(slots),
  };
  try {
    const { config, keyFiles } = loaded;
    const body = await openGateway({ config: consoleConfig(config), keyFiles, log, version }, {}, host);
    invalidations.follow((target) => body.invalidate(target));
    return body;
  } catch (error) {
    detach();
    throw error;
  }
}

async function readStatuses(slots: readonly WorkerSlot[]) {
  const texts = await Promise.all(slots.map((slot) => slot.ask("status")));
  return {
    configured: slots.length,
    restarts: slots.reduce((sum, { restarts }) => sum + restarts, 0),
    statuses: texts.filter((text) => text !== undefined),
  };
}

function createSlots({ config, handover }: LoadedConfig, log: Logger, attach: Attach): WorkerSlot[] {
  // Connections are handed out in turn: left to the system, most of them go to few processes.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const count = config.rpc.workers;
  const name = config.gateway.replica;
  return Array.from({ length: count }, (_, at) => {
    const index = at + 1;
    return new WorkerSlot({
      index,
      init: { kind: "init", config: handover(), name, index, count },
      log,
      clock: systemClock,
      onStart: (channel) => attach(workerName(name, index), channel),
    });
  });
}

/** One first: what keeps it from starting keeps all, and need be said once. */
async function startSlots(slots: readonly WorkerSlot[]): Promise<string> {
  const [first, ...others] = slots;
  const url = await startSlot(first);
  await Promise.all(others.map(startSlot));
  return url;
}

async function startSlot(slot: WorkerSlot | undefined): Promise<string> {
  const started = await slot?.start();
  if (started !== undefined && "url" in started) return started.url;
  throw new WorkerFailed(started?.exitCode ?? 1);
}
