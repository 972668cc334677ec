import cluster from "node:cluster";
import { type AdminServer, type Readiness, startAdminServer } from "../admin/admin-server.ts";
import type { LoadedConfig } from "../config.ts";
import type { Logger } from "../logger.ts";
import { MemoryRevocationLog } from "../memory/memory-revocation-log.ts";
import { openRedisLog } from "../redis-tier.ts";
import { systemClock } from "../system-clock.ts";
import type { Channel } from "./channel.ts";
import { WORKER_STATES } from "./control-messages.ts";
import { InvalidationRelay } from "./invalidation-relay.ts";
import { LogMirror } from "./log-mirror.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import { RevocationLogRelay } from "./revocation-log-relay.ts";
import { workerName } from "./worker-config.ts";
import { WorkerSlot } from "./worker-slot.ts";

export interface PrimaryOptions {
  readonly loaded: LoadedConfig;
  readonly log: Logger;
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
const NOT_UNDERSTOOD = "a message of a worker is not understood";
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Starts as many workers as are configured and the admin port, and follows the log for all of them. Workers that end are
 * started again.
 *
 * @throws ConfigError, WorkerFailed, Error the system's, when the admin port cannot be listened at
 */
export async function startPrimary({ loaded, log }: PrimaryOptions): Promise<Primary> {
  const { config } = loaded;
  const upstreamOfLog = openLog(loaded, log);
  const invalidations = new InvalidationRelay((err) => log.error({ err }, NOT_UNDERSTOOD));
  const slots = createSlots(loaded, log, (name, channel) => {
    const ends = [upstreamOfLog.relay.attach(name, channel), invalidations.attach(channel)];
    return () => {
      for (const end of ends) end();
    };
  });
  const lifetime = { draining: false };
  let admin: AdminServer | undefined;
  const close = async () => {
    lifetime.draining = true;
    await Promise.all(slots.map((slot) => slot.stop(config.rpc.drainGraceMs + STOP_SLACK_MS)));
    await upstreamOfLog.close();
    await admin?.close();
  };
  try {
    admin = await startAdminServer({
      ...config.admin.listen,
      metrics: () => readMetrics(slots),
      contentType: METRICS_TYPE,
      ready: () => readinessOf(slots, lifetime.draining),
      log,
    });
    const url = await startSlots(slots);
    return { url, adminUrl: admin.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function openLog({ config }: LoadedConfig, log: Logger) {
  const clock = systemClock;
  const redis = openRedisLog({ config, log, clock });
  const revocationLog = redis?.log ?? new MemoryRevocationLog(() => clock.wallMs());
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
    async close() {
      await relay.close();
      await (redis ?? revocationLog).close();
    },
  };
}

function createSlots(
  { config, tls, handover }: LoadedConfig,
  log: Logger,
  attach: (name: string, channel: Channel) => () => void,
): WorkerSlot[] {
  // Connections are handed out in turn: left to the system, most of them go to few processes.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const count = config.rpc.workers;
  const name = config.gateway.replica;
  return Array.from({ length: count }, (_, at) => {
    const index = at + 1;
    return new WorkerSlot({
      index,
      init: { kind: "init", config: handover(), tls: tls ?? null, name, index, count },
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

/** Ready while any worker is: connections go to those that live. */
function readinessOf(slots: readonly WorkerSlot[], draining: boolean): Readiness {
  const reports = slots.flatMap(({ report }) => (report === undefined ? [] : [report]));
  const ready = reports.filter(({ state }) => state !== "not_serving");
  const worst = Math.max(...reports.map(({ state }) => WORKER_STATES.indexOf(state)));
  const staleness = Math.max(...reports.map(({ stalenessMs }) => stalenessMs ?? Number.POSITIVE_INFINITY));
  return {
    ready: !draining && ready.length > 0,
    detail: {
      state: draining ? "not_serving" : (WORKER_STATES[worst] ?? "not_serving"),
      workers: slots.length,
      workers_ready: ready.length,
      restarts: slots.reduce((sum, { restarts }) => sum + restarts, 0),
      ...(Number.isFinite(staleness) ? { staleness_ms: staleness } : {}),
    },
  };
}

async function readMetrics(slots: readonly WorkerSlot[]): Promise<string> {
  const texts = await Promise.all(slots.map(async (slot) => ({ slot, text: await slot.metrics() })));
  return mergeMetrics(
    texts.flatMap(({ slot, text }) => (text === undefined ? [] : [{ worker: String(slot.index), text }])),
  );
}
