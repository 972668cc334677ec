import type { CallReport, OnCall } from "./call-report.ts";

export type CallLabels = Pick<CallReport, "service" | "method" | "protocol">;

/** The value of a request's header; `undefined` when there is none. */
export type HeaderOf = (lowerCaseName: string) => string | undefined;

/** One call, watched from its head to its end. */
export interface ObservedCall {
  /** Told once, how it ended. */
  readonly onEnd: OnCall;
  /** Does work of the call, so that what it asks of others counts as part of it. `undefined` when nobody minds. */
  readonly run: (<T>(work: () => T) => T) | undefined;
}

/** Begins to watch a call whose head has come. */
export type ObserveCall = (labels: CallLabels, header: HeaderOf) => ObservedCall;

/** Watches for the ends of calls and nothing else. */
export function observeEnds(onCall: OnCall): ObserveCall {
  const observed: ObservedCall = { onEnd: onCall, run: undefined };
  return () => observed;
}
