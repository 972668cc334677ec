import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import type { CallLabels } from "../rpc/call-observer.ts";
import type { CallOutcome, CallReport } from "../rpc/call-report.ts";

// Nothing that a caller or the upstream can fill with text goes into a span: names, codes, reasons and numbers from sets of
// our own only. A test looks for secrets in what is exported.

const GRPC_CODES: readonly string[] = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** What is the server's failure, and not its caller's. As OpenTelemetry's conventions for servers of gRPC have it. */
const FAILURES: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

export function callAttributes({ service, method, protocol }: CallLabels): Attributes {
  return {
    "rpc.system": protocol === "connect" ? "connect_rpc" : "grpc",
    "rpc.service": service,
    "rpc.method": method,
  };
}

export function endCall(span: Span, { code, reason, outcome }: CallReport, endedAtMs?: number): void {
  span.setAttribute("rpc.grpc.status_code", Math.max(0, GRPC_CODES.indexOf(code)));
  if (reason !== undefined) span.setAttribute("error.type", reason);
  if (FAILURES.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  if (outcome !== undefined) span.setAttributes(outcomeAttributes(outcome));
  span.end(endedAtMs);
}

const CACHE: Readonly<Record<string, string>> = { memory: "hit", fact: "hit", redis: "shared_hit", upstream: "miss" };

/** `m2m.verdict`, `m2m.source`, and whether a cache decided; of a batch the number of each verdict. */
function outcomeAttributes(outcome: CallOutcome): Attributes {
  const attributes: Attributes = {};
  for (const [name, value] of Object.entries(outcome)) attributes[`m2m.${name}`] = value;
  const cache = CACHE[String(outcome.source)];
  if (cache !== undefined) attributes["m2m.cache"] = cache;
  return attributes;
}
