import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type SpanContext,
  type TraceState,
  trace,
} from "@opentelemetry/api";
import { scrub } from "../logger/scrub.ts";
import type { HeaderOf } from "../rpc/call-observer.ts";

/** version, trace id, parent id, flags, and what later versions may add (W3C Trace Context, 3.2). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]{0,512})?$/;
const NO_TRACE = /^0+$/;
/** What everybody must be able to pass on (3.3.1.5). */
const MAX_STATE_CHARS = 512;

/** The trace that a caller's headers name as a context to start spans in; `undefined` when they name none. */
export function parentFrom(header: HeaderOf): Context | undefined {
  const traceparent = header("traceparent");
  if (traceparent === undefined) return undefined;
  const [, version, traceId = "", spanId = "", flags = "00", more] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (NO_TRACE.test(traceId) || NO_TRACE.test(spanId)) return undefined;
  const traceState = stateFrom(header("tracestate"));
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(traceState === undefined ? {} : { traceState }),
  });
}

/** The headers by which the next one in line is told of a span. */
export function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): Record<string, string> {
  const state = traceState?.serialize() ?? "";
  return {
    traceparent: `00-${traceId}-${spanId}-0${traceFlags & 1}`,
    ...(state === "" ? {} : { tracestate: state }),
  };
}

/** It is a caller's to fill and goes to others: what looks like a credential in it does not. */
function stateFrom(given: string | undefined): TraceState | undefined {
  if (given === undefined || given.length > MAX_STATE_CHARS || scrub(given) !== given) return undefined;
  return createTraceState(given);
}
