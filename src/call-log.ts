import { LineBudget } from "./call-log/line-budget.ts";
import type { Logger } from "./logger.ts";
import type { CallReport } from "./rpc/call-report.ts";
import { Share } from "./rpc/share.ts";
import type { Clock } from "./token/ports.ts";

/** Which calls have an access line: none, those that failed, or those and this share of the others. */
export type AccessLog = "off" | "errors" | number;

/** What a call is found again by: its request id, and those of its trace where it has one. */
export type CallIds = Readonly<Record<string, string>>;

/** Lines about failed calls per second. What is beyond is counted, so that a flood of errors is not one of lines too. */
const FAILURES_PER_SECOND = 20;
/** Access lines per second: what the share does not bound are failures. */
const ACCESSES_PER_SECOND = 1_000;

/** Logs calls: failures that operators should see by their severity, those of the access log, all else for who debugs. */
export class CallLog {
  /** Of the calls that ended well, those that have an access line. Whoever counts calls itself takes from it. */
  readonly share: Share;
  readonly #log: Logger;
  readonly #access: AccessLog;
  readonly #failures: LineBudget;
  readonly #accesses: LineBudget;

  constructor(log: Logger, clock: Clock, access: AccessLog) {
    this.#log = log;
    this.#access = log.isLevelEnabled("info") ? access : "off";
    this.share = new Share(typeof this.#access === "number" ? this.#access : 0);
    this.#failures = new LineBudget(clock, FAILURES_PER_SECOND);
    this.#accesses = new LineBudget(clock, ACCESSES_PER_SECOND);
  }

  ended(report: CallReport, ids: CallIds): void {
    const level = levelOf(report.code);
    if (this.#isAccess(report.code)) this.access(report, ids);
    else if (level === "debug" && this.#log.isLevelEnabled("debug")) this.debug(report, ids);
    if (level === "debug" || !this.#failures.take()) return;
    const { error, outcome, ...call } = report;
    this.#log[level]({ ...call, ...ids, err: error, ...this.#failures.suppressed() }, "call failed");
  }

  /** Writes the access line of a call that was chosen for one. */
  access({ error, outcome, ...call }: CallReport, ids: CallIds): void {
    if (this.#accesses.take()) this.#log.info({ ...call, ...outcome, ...ids, ...this.#accesses.suppressed() }, "call");
  }

  /** Writes a line for who debugs. */
  debug({ error, outcome, ...call }: CallReport, ids: CallIds): void {
    const line = { ...call, ...outcome, ...ids };
    this.#log.debug(error === undefined ? line : { ...line, err: error }, "call");
  }

  /** Whether calls that end well have access lines. */
  get hasAccessLines(): boolean {
    return typeof this.#access === "number" && this.#access > 0;
  }

  #isAccess(code: string): boolean {
    if (this.#access === "off") return false;
    return code !== "OK" || this.share.take();
  }
}

function levelOf(code: string): "debug" | "warn" | "error" {
  if (code === "INTERNAL" || code === "UNKNOWN") return "error";
  return code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" ? "warn" : "debug";
}
