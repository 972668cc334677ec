import { RequestIds } from "./call-log/request-ids.ts";
import type { CallLog } from "./call-log.ts";
import type { Metrics } from "./metrics.ts";
import type { RecentErrors } from "./recent-errors.ts";
import type { CallReport } from "./rpc/call-report.ts";
import { type LanesObservers, VERIFY_LANE_LABELS } from "./rpc/lanes.ts";
import { Share } from "./rpc/share.ts";
import type { LaneWatch } from "./rpc/watched-verify-lane.ts";
import type { Tracing } from "./tracing/tracing.ts";

export interface CallObservers {
  readonly metrics: Pick<Metrics, "recordRpc">;
  readonly recentErrors: Pick<RecentErrors, "note">;
  readonly log: CallLog;
  /** Whether every call is worth a line, as when debugging. */
  readonly logsAll: boolean;
  readonly tracing: Tracing | undefined;
}

/** What calls are that a lane answers. */
const ANSWERED = { ...VERIFY_LANE_LABELS, code: "OK" } as const;

/** Has calls counted, logged and traced, each by those who do. */
export function observeCalls({ metrics, recentErrors, log, logsAll, tracing }: CallObservers): LanesObservers {
  const requestIds = new RequestIds();
  return {
    observe(labels, header) {
      const span = tracing?.beginCall(labels, header);
      let name: string | undefined;
      const requestId = () => {
        name ??= requestIds.of(header("x-request-id"));
        return name;
      };
      const onEnd = (report: CallReport) => {
        metrics.recordRpc(report, report.durationMs);
        recentErrors.note(report);
        log.ended(report, { requestId: requestId(), ...span?.ids });
        span?.end(report);
      };
      return { onEnd, requestId, run: span?.run };
    },
    // Called for each chunk of input that has such calls: makes nothing unless somebody debugs.
    onAnswered(count, durationMs) {
      metrics.recordRpc(ANSWERED, durationMs, count);
      if (!logsAll) return;
      const report = { ...ANSWERED, reason: undefined, durationMs, error: undefined };
      for (let n = 0; n < count; n += 1) log.debug(report, { requestId: requestIds.of(undefined) });
    },
    watch: watchOf(log, requestIds, tracing),
  };
}

/** `undefined` where neither traces nor lines are to be had, so that lanes are as fast as they can be. */
function watchOf(log: CallLog, requestIds: RequestIds, tracing: Tracing | undefined): LaneWatch | undefined {
  if (tracing === undefined && !log.hasAccessLines) return undefined;
  return {
    traced: new Share(tracing?.lane.rootRatio ?? 0),
    logged: log.share,
    isTraced: (header) => tracing?.lane.samples(ANSWERED, header),
    note({ header, ...span }, { isTraced, isLogged }) {
      const ids = isTraced ? tracing?.lane.record(ANSWERED, header, span) : undefined;
      if (!isLogged) return;
      const { outcome, startedAtMs, endedAtMs } = span;
      const call = { ...ANSWERED, reason: undefined, durationMs: endedAtMs - startedAtMs, error: undefined };
      log.access({ ...call, outcome }, { requestId: requestIds.of(header("x-request-id")), ...ids });
    },
  };
}
