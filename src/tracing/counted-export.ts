import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace";
import type { SpanCounts } from "./tracing.ts";

type ExportResult = Parameters<Parameters<SpanExporter["export"]>[1]>[0];

/** An exporter that counts what becomes of spans, and tells of failures. */
export class CountedExporter implements SpanExporter {
  readonly counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 };
  /** Spans that were taken to be sent. */
  taken = 0;
  readonly #exporter: SpanExporter;
  readonly #onError: (error: unknown) => void;

  constructor(exporter: SpanExporter, onError: (error: unknown) => void) {
    this.#exporter = exporter;
    this.#onError = onError;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.taken += spans.length;
    this.#exporter.export(spans, (result) => {
      if (result.code === 0) {
        this.counts.exported += spans.length;
      } else {
        this.counts.failed += spans.length;
        this.#onError(result.error);
      }
      done(result);
    });
  }

  async shutdown(): Promise<void> {
    await this.#exporter.shutdown();
  }
}

/** Keeps the queue in front of an exporter bounded, and counts what finds it full. */
export class BoundedProcessor implements SpanProcessor {
  readonly #processor: SpanProcessor;
  readonly #exporter: CountedExporter;
  readonly #maxWaiting: number;
  #ended = 0;

  /** @param processor hands what it is given to the exporter, and drops none as long as no more than that wait */
  constructor(processor: SpanProcessor, exporter: CountedExporter, maxWaiting: number) {
    this.#processor = processor;
    this.#exporter = exporter;
    this.#maxWaiting = maxWaiting;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#ended - this.#exporter.taken >= this.#maxWaiting) {
      this.#exporter.counts.dropped += 1;
      return;
    }
    this.#ended += 1;
    this.#processor.onEnd(span);
  }

  async forceFlush(): Promise<void> {
    await this.#processor.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#processor.shutdown();
  }
}
