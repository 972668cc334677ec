import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, SamplingDecision, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Config } from "../config/settings.ts";
import type { CallLabels, HeaderOf } from "../rpc/call-observer.ts";
import type { CallReport } from "../rpc/call-report.ts";
import type { Clock, VerdictStore } from "../token/ports.ts";
import type { AttemptSpan, TraceAttempt } from "../upstream/attempt-trace.ts";
import { BoundedProcessor, CountedExporter } from "./counted-export.ts";
import { parsePairs, resourceOf } from "./resource.ts";
import { ChoosingSampler, chosenIn, rootRatioOf } from "./sampler.ts";
import { callAttributes, endCall } from "./span-attributes.ts";
import { headersOf, parentFrom } from "./trace-context.ts";
import { TracedStore, type TraceLookUp } from "./traced-store.ts";
import type { CallSpan, LaneSpan, LaneTraces, SpanCounts, TraceIds, Tracing } from "./tracing.ts";

export interface TracingOptions {
  readonly settings: Config["tracing"];
  /** The base URL of the collector. */
  readonly endpoint: string;
  readonly version: string;
  readonly instance: string;
  /** Where requests of `traceAttempt` go. */
  readonly upstreamUrl: string;
  readonly clock: Clock;
  /** Spans could not be sent. Called once per batch; what is told names no header and quotes no span. */
  readonly onError: (error: unknown) => void;
}

/** Spans that wait to be sent. What is beyond is dropped and counted. */
const MAX_WAITING = 8_192;
const MAX_BATCH = 512;
const BATCH_DELAY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** Starts to trace. Nothing global is set: what is traced is what is told of here. */
export function openTracing(options: TracingOptions): Tracing {
  return new OpenTelemetryTracing(options);
}

/** The call whose work is being done. */
interface Scope {
  readonly context: Context;
  readonly ids: TraceIds;
}

class OpenTelemetryTracing implements Tracing {
  readonly lane: LaneTraces;
  readonly counts: SpanCounts;
  readonly #options: TracingOptions;
  readonly #scopes = new AsyncLocalStorage<Scope>();
  readonly #sampler: ChoosingSampler;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #serverAddress: string;

  constructor(options: TracingOptions) {
    const { settings, version, instance, upstreamUrl } = options;
    this.#options = options;
    this.#serverAddress = new URL(upstreamUrl).hostname;
    this.#sampler = new ChoosingSampler(settings.sampler, settings.samplerArg);
    const exporter = createExporter(options);
    this.counts = exporter.counts;
    this.#provider = new TracerProvider({
      resource: resourceOf({
        serviceName: settings.serviceName,
        attributes: settings.resourceAttributes,
        version,
        instance,
      }),
      sampler: this.#sampler,
      spanProcessors: [createProcessor(exporter)],
    });
    this.#tracer = this.#provider.getTracer("m2m-gateway", version);
    this.lane = {
      rootRatio: rootRatioOf(settings.sampler, settings.samplerArg),
      samples: (labels, header) => this.#samples(labels, header),
      record: (labels, header, span) => this.#record(labels, header, span),
    };
  }

  beginCall(labels: CallLabels, header: HeaderOf): CallSpan {
    const parent = parentFrom(header) ?? ROOT_CONTEXT;
    const span = this.#startCall(labels, parent);
    const scope: Scope = { context: trace.setSpan(parent, span), ids: idsOf(span) };
    return {
      ids: scope.ids,
      run: (work) => this.#scopes.run(scope, work),
      end: (report) => endCall(span, report),
    };
  }

  readonly traceAttempt: TraceAttempt = (operation, method, repeats) => {
    const attributes = {
      "http.request.method": method,
      "server.address": this.#serverAddress,
      "m2m.operation": operation,
      ...(repeats === 0 ? {} : { "http.request.resend_count": repeats }),
    };
    const span = this.#startChild(`clerk ${operation}`, attributes);
    return span === undefined ? undefined : attemptSpan(span);
  };

  tracedStore(store: VerdictStore): VerdictStore {
    const traceLookUp: TraceLookUp = () => {
      const span = this.#startChild("redis verdict", { "db.system.name": "redis" });
      if (span === undefined) return undefined;
      return (found) => {
        span.setAttribute("m2m.found", found);
        span.end();
      };
    };
    return new TracedStore(store, traceLookUp);
  }

  ids(): TraceIds {
    return this.#scopes.getStore()?.ids ?? NO_IDS;
  }

  async close(): Promise<void> {
    const { clock, onError } = this.#options;
    let cancel = () => {};
    const tooLate = new Promise<void>((resolve) => {
      cancel = clock.after(CLOSE_TIMEOUT_MS, resolve);
    });
    await Promise.race([this.#provider.shutdown().catch(onError), tooLate]);
    cancel();
  }

  #startCall(labels: CallLabels, parent: Context, startTime?: number): Span {
    return this.#tracer.startSpan(
      nameOf(labels),
      { kind: SpanKind.SERVER, attributes: callAttributes(labels), ...(startTime === undefined ? {} : { startTime }) },
      parent,
    );
  }

  /** Work outside of calls is nobody's to trace. */
  #startChild(name: string, attributes: Record<string, string | number>): Span | undefined {
    const scope = this.#scopes.getStore();
    if (scope === undefined) return undefined;
    return this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, scope.context);
  }

  #samples(labels: CallLabels, header: HeaderOf): boolean | undefined {
    const parent = parentFrom(header);
    const traceId = parent === undefined ? undefined : trace.getSpanContext(parent)?.traceId;
    if (parent === undefined || traceId === undefined) return undefined;
    const { decision } = this.#sampler.shouldSample(parent, traceId, nameOf(labels), SpanKind.SERVER, {}, []);
    return decision === SamplingDecision.RECORD_AND_SAMPLED;
  }

  #record(labels: CallLabels, header: HeaderOf, { startedAtMs, endedAtMs, outcome }: LaneSpan): TraceIds {
    const span = this.#startCall(labels, chosenIn(parentFrom(header) ?? ROOT_CONTEXT), startedAtMs);
    const report: CallReport = { ...labels, code: "OK", reason: undefined, durationMs: 0, error: undefined, outcome };
    endCall(span, report, endedAtMs);
    return idsOf(span);
  }
}

const NO_IDS: TraceIds = {};

function createExporter({ endpoint, settings, onError }: TracingOptions): CountedExporter {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint}/v1/traces`,
    headers: parsePairs(settings.headers?.reveal() ?? ""),
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  return new CountedExporter(exporter, onError);
}

function createProcessor(exporter: CountedExporter): BoundedProcessor {
  const processor = new BatchSpanProcessor({
    exporter,
    maxQueueSize: MAX_WAITING,
    maxExportBatchSize: MAX_BATCH,
    scheduledDelayMillis: BATCH_DELAY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  return new BoundedProcessor(processor, exporter, MAX_WAITING);
}

function attemptSpan(span: Span): AttemptSpan {
  return {
    headers: headersOf(span.spanContext()),
    end(outcome) {
      if ("status" in outcome) span.setAttribute("http.response.status_code", outcome.status);
      else span.setAttribute("error.type", outcome.reason);
      if (!("status" in outcome) || outcome.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

function nameOf({ service, method }: CallLabels): string {
  return `${service}/${method}`;
}

function idsOf(span: Span): TraceIds {
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}
