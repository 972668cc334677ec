import cluster from "node:cluster";
import type { Config } from "../config/settings.ts";
import { configFromHandover, readTls } from "../config.ts";
import type { Host } from "../gateway/gateway-options.ts";
import { type GatewayBody, openGateway } from "../gateway.ts";
import { createLogger, type Logger } from "../logger.ts";
import { systemClock } from "../system-clock.ts";
import { type Channel, channelOf } from "./channel.ts";
import {
  type FromWorker,
  type Init,
  parseToWorker,
  type Report,
  type ToWorker,
  type WorkerReport,
} from "./control-messages.ts";
import { RelayedInvalidations } from "./relayed-invalidations.ts";
import { RelayedRevocationLog } from "./relayed-revocation-log.ts";
import { workerConfig } from "./worker-config.ts";

export interface WorkerOptions {
  readonly version: string;
  readonly stderr: { write(text: string): unknown };
  readonly color: boolean;
  /** Aborted when this process is asked to end. */
  readonly signal: AbortSignal;
  /** Called once the worker knows what it is and where it logs. */
  readonly onLog: (log: Logger, config: Config) => void;
}

const STATE_INTERVAL_MS = 250;
/** Of no weight for what is answered from caches: their time runs from the start of the read. */
const READ_TIMEOUT_MS = 10_000;

/** Whether this process was started by a primary. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/**
 * Serves RPCs until the primary or the signal says to end. If the primary ends without a word, so does this process, at
 * once: `cluster` sees to that.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { worker } = cluster;
  if (worker === undefined) throw new Error("this process was not started by a primary");
  const channel = channelOf(worker);
  // Before the primary hears of this worker: it may tell it to end while it still starts.
  const told = drainTold(channel, options.signal);
  const init = await initialized(channel);
  const { config: ofAll, keyFiles } = configFromHandover(init.config);
  const config = workerConfig(ofAll, init.name, init.index, init.count);
  const log = createLogger({
    ...config.log,
    stream: options.stderr,
    color: options.color,
    fields: { worker: init.index },
  });
  options.onLog(log, config);
  const onError = (err: unknown) => log.error({ err }, "a message of the primary is not understood");
  const revocationLog = new RelayedRevocationLog({
    channel,
    clock: systemClock,
    readTimeoutMs: READ_TIMEOUT_MS,
    onError,
  });
  const invalidations = new RelayedInvalidations(channel, onError);
  const spreadInvalidation: Host["spreadInvalidation"] = (target, signal) => invalidations.spread(target, signal);
  // Read here: what the primary read when it started may have been replaced since.
  const tls = readTls(config);
  const host = { revocationLog, spreadInvalidation };
  const body = await openGateway({ config, log, version: options.version, tls, keyFiles }, {}, host);
  invalidations.follow((target) => body.invalidate(target));
  answerReports(channel, body, log, onError);
  send(channel, { kind: "serving", url: await body.listen() });
  const telling = setInterval(() => tellState(channel, body), STATE_INTERVAL_MS);
  tellState(channel, body);
  await told;
  await body.close();
  clearInterval(telling);
  worker.disconnect();
}

function initialized(channel: Channel): Promise<Init> {
  return new Promise((resolve, reject) => {
    const stop = channel.listen((message) => {
      try {
        const init = parseToWorker(message);
        if (init?.kind !== "init") return;
        stop();
        resolve(init);
      } catch (error) {
        reject(error);
      }
    });
    send(channel, { kind: "hello" });
  });
}

/** Resolves when the primary, or the signal, says to end. */
function drainTold(channel: Channel, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    channel.listen((message) => {
      if (isDrain(message)) resolve();
    });
  });
}

/** What cannot be understood is told by who answers the primary. */
function isDrain(message: unknown): boolean {
  return typeof message === "object" && message !== null && "kind" in message && message.kind === "drain";
}

function answerReports(channel: Channel, body: GatewayBody, log: Logger, onError: (error: unknown) => void): void {
  channel.listen((message) => {
    let told: ToWorker | undefined;
    try {
      told = parseToWorker(message);
    } catch (error) {
      onError(error);
      return;
    }
    if (told?.kind !== "report") return;
    const { id, what } = told;
    reportOf(body, what).then(
      (text) => send(channel, { kind: "report", id, text }),
      (err: unknown) => log.warn({ err, what }, "it cannot be told"),
    );
  });
}

async function reportOf(body: GatewayBody, what: Report): Promise<string> {
  return what === "metrics" ? await body.metrics.render() : body.status();
}

function tellState(channel: Channel, body: GatewayBody): void {
  const { state, cursor, stalenessMs } = body.freshness();
  const report: WorkerReport = {
    state,
    cursor,
    stalenessMs: Number.isFinite(stalenessMs) ? stalenessMs : null,
    rejectedKeys: body.rejectedKeys(),
  };
  send(channel, { kind: "state", report });
}

function send(channel: Channel, message: FromWorker): void {
  channel.send(message);
}
