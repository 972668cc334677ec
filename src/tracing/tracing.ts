import type { CallLabels, HeaderOf, ObservedCall } from "../rpc/call-observer.ts";
import type { CallOutcome, CallReport } from "../rpc/call-report.ts";
import type { VerdictStore } from "../token/ports.ts";
import type { TraceAttempt } from "../upstream/attempt-trace.ts";

/** Traces of calls. Exists only where they are on. */
export interface Tracing {
  /** Begins the span of a call: a child of the caller's, where the headers name it. */
  beginCall(labels: CallLabels, header: HeaderOf): CallSpan;
  /** Begins the span of a request to the upstream, if it is made for a call. */
  readonly traceAttempt: TraceAttempt;
  /** The same store, with a span for each look-up. */
  tracedStore(store: VerdictStore): VerdictStore;
  readonly lane: LaneTraces;
  /** The ids of the call whose work is being done, for lines of the log; empty outside of calls. */
  ids(): TraceIds;
  /** Spans by what became of them. Counters only grow. */
  readonly counts: SpanCounts;
  /** Sends what is left, for two seconds at most. */
  close(): Promise<void>;
}

export interface CallSpan {
  readonly ids: TraceIds;
  readonly run: NonNullable<ObservedCall["run"]>;
  end(report: CallReport): void;
}

/** Traces of calls that were answered before anybody knew that they are traced. */
export interface LaneTraces {
  /** The share of calls to trace whose callers do not trace. */
  readonly rootRatio: number;
  /** Whether the sampler wants a call with these headers; `undefined` when they name no trace. */
  samples(labels: CallLabels, header: HeaderOf): boolean | undefined;
  /** Writes the span of a call that is to be traced. Times are of `performance.now()`. */
  record(labels: CallLabels, header: HeaderOf, span: LaneSpan): TraceIds;
}

export interface LaneSpan {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: CallOutcome;
}

/** `trace_id` and `span_id`, as OpenTelemetry has them in logs; or nothing. */
export type TraceIds = Readonly<Record<string, string>>;

export interface SpanCounts {
  /** The collector took them. */
  exported: number;
  /** The collector could not be reached, or refused them. */
  failed: number;
  /** There were too many to keep until they could be sent. */
  dropped: number;
}
