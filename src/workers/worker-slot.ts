import cluster, { type Worker } from "node:cluster";
import type { Logger } from "../logger.ts";
import type { Clock } from "../token/ports.ts";
import { type Channel, channelOf } from "./channel.ts";
import {
  type FromWorker,
  type Init,
  parseFromWorker,
  type Report,
  type ToWorker,
  type WorkerReport,
} from "./control-messages.ts";

export interface WorkerSlotOptions {
  readonly index: number;
  readonly init: Init;
  readonly log: Logger;
  readonly clock: Clock;
  /** A process has been started. Returns what to do when it has ended. */
  readonly onStart: (channel: Channel) => () => void;
}

const FIRST_RESTART_MS = 100;
const MAX_RESTART_MS = 10_000;
/** A process that ran for so long did not fail for what made the one before fail. */
const STEADY_MS = 30_000;
/** What a worker said of itself longer ago is not believed: it tells four times a second. */
const REPORT_LIFE_MS = 2_000;
/** A worker that has said nothing for so long hangs. */
const HUNG_MS = 30_000;
/** Before its first word: a machine may be so busy that a process takes long to start. */
const START_MS = 120_000;
const REPORT_TIMEOUT_MS = 2_000;

/** One place among the workers: a process, and after its end another one. */
export class WorkerSlot {
  readonly index: number;
  readonly #options: WorkerSlotOptions;
  readonly #reports = new Map<number, (text: string | undefined) => void>();
  #worker: Worker | undefined;
  #channel: Channel | undefined;
  #ended = Promise.resolve<number | undefined>(undefined);
  #lastReport: { readonly report: WorkerReport; readonly atMs: number } | undefined;
  #serving: ((url: string) => void) | undefined;
  #greeted = false;
  #failures = 0;
  #lastId = 0;
  #stopping = false;
  #cancelRestart: (() => void) | undefined;
  #cancelHungCheck: (() => void) | undefined;
  /** How often a process was started anew. */
  restarts = 0;

  constructor(options: WorkerSlotOptions) {
    this.index = options.index;
    this.#options = options;
  }

  /** Resolves with where it serves, or with the exit code when it ended before. From then on it is started anew. */
  async start(): Promise<{ readonly url: string } | { readonly exitCode: number }> {
    const serving = new Promise<{ url: string }>((resolve) => {
      this.#serving = (url) => resolve({ url });
    });
    this.#fork(false);
    const ended = this.#ended.then((exitCode = 1) => ({ exitCode }));
    const first = await Promise.race([serving, ended]);
    if ("url" in first) void this.#ended.then(() => this.#scheduleRestart());
    return first;
  }

  /** What it said of itself just now; `undefined` while it does not serve. */
  get report(): WorkerReport | undefined {
    const last = this.#lastReport;
    if (last === undefined || this.#options.clock.monotonicMs() - last.atMs > REPORT_LIFE_MS) return undefined;
    return last.report;
  }

  /** What it tells of itself, unless it does not serve or does not answer. */
  ask(what: Report): Promise<string | undefined> {
    const channel = this.#channel;
    if (channel === undefined || this.report === undefined) return Promise.resolve(undefined);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const settle = (text: string | undefined) => {
        this.#reports.delete(id);
        cancelTimer();
        resolve(text);
      };
      const cancelTimer = this.#options.clock.after(REPORT_TIMEOUT_MS, () => settle(undefined));
      this.#reports.set(id, settle);
      send(channel, { kind: "report", id, what });
    });
  }

  /** Lets it drain, and ends it when it takes longer than `graceMs`. Resolves when it has ended. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart?.();
    // One that has not said hello serves nothing, and would not hear.
    if (!this.#greeted) this.#kill();
    else if (this.#channel !== undefined) send(this.#channel, { kind: "drain" });
    const cancel = this.#options.clock.after(graceMs, () => this.#kill());
    await this.#ended;
    cancel();
  }

  #fork(isRestart: boolean): void {
    const { clock, log, onStart, index } = this.#options;
    const worker = cluster.fork();
    const channel = channelOf(worker);
    const startedAtMs = clock.monotonicMs();
    const onEnd = onStart(channel);
    channel.listen((message) => this.#receive(channel, message));
    this.#worker = worker;
    this.#channel = channel;
    this.#greeted = false;
    if (isRestart) this.restarts += 1;
    this.#watchForHang(startedAtMs);
    log.info({ worker: index, pid: worker.process.pid }, "worker started");
    // A process that could not be started has no exit, but an error.
    worker.on("error", (err) => log.error({ err, worker: index }, "a worker process failed"));
    this.#ended = new Promise((resolve) => {
      worker.once("exit", (code: number | null, signal: string | null) => {
        onEnd();
        this.#forget();
        if (clock.monotonicMs() - startedAtMs >= STEADY_MS) this.#failures = 0;
        if (!this.#stopping) log.error({ worker: index, code, signal }, "a worker ended");
        resolve(code ?? undefined);
      });
    });
    if (isRestart) void this.#ended.then(() => this.#scheduleRestart());
  }

  #receive(channel: Channel, message: unknown): void {
    let said: FromWorker | undefined;
    try {
      said = parseFromWorker(message);
    } catch (err) {
      this.#options.log.error({ err, worker: this.index }, "a message of a worker is not understood");
      return;
    }
    if (said?.kind === "hello") {
      this.#greeted = true;
      send(channel, this.#options.init);
    }
    if (said?.kind === "serving") this.#serving?.(said.url);
    else if (said?.kind === "report") this.#reports.get(said.id)?.(said.text);
    else if (said?.kind === "state") {
      this.#lastReport = { report: said.report, atMs: this.#options.clock.monotonicMs() };
    }
  }

  #scheduleRestart(): void {
    if (this.#stopping) return;
    const delayMs = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#cancelRestart = this.#options.clock.after(delayMs, () => this.#fork(true));
  }

  #watchForHang(sinceMs: number): void {
    const { clock, log } = this.#options;
    this.#cancelHungCheck = clock.after(REPORT_LIFE_MS, () => {
      const silentMs = clock.monotonicMs() - (this.#lastReport?.atMs ?? sinceMs);
      if (silentMs > (this.#lastReport === undefined ? START_MS : HUNG_MS)) {
        log.error({ worker: this.index }, "a worker hangs and is ended");
        this.#kill();
      } else this.#watchForHang(sinceMs);
    });
  }

  #forget(): void {
    this.#cancelHungCheck?.();
    this.#worker = undefined;
    this.#channel = undefined;
    this.#lastReport = undefined;
    for (const settle of [...this.#reports.values()]) settle(undefined);
  }

  #kill(): void {
    this.#worker?.process.kill("SIGKILL");
  }
}

function send(channel: Channel, message: ToWorker): void {
  channel.send(message);
}
