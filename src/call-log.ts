import type { Logger } from "./logger.ts";
import type { CallReport } from "./rpc/call-report.ts";
import type { Clock } from "./token/ports.ts";

/** Lines about failed calls per second. What is beyond is counted, so that a flood of errors is not one of lines too. */
const LINES_PER_SECOND = 20;

/** Logs calls: failures that operators should see by their severity, all else for who debugs. */
export function createCallLog(log: Logger, clock: Clock): (report: CallReport) => void {
  let secondBeganMs = clock.monotonicMs();
  let lines = 0;
  let suppressed = 0;
  return ({ error, ...call }) => {
    const level = levelOf(call.code);
    if (level === "debug") {
      log.debug(error === undefined ? call : { ...call, err: error }, "call");
      return;
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - secondBeganMs >= 1_000) {
      secondBeganMs = nowMs;
      lines = 0;
    }
    lines += 1;
    if (lines > LINES_PER_SECOND) {
      suppressed += 1;
      return;
    }
    log[level]({ ...call, err: error, ...(suppressed === 0 ? {} : { suppressed }) }, "call failed");
    suppressed = 0;
  };
}

function levelOf(code: string): "debug" | "warn" | "error" {
  if (code === "INTERNAL" || code === "UNKNOWN") return "error";
  return code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" ? "warn" : "debug";
}
