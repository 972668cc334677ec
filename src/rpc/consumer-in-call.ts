import type { StreamConsumer } from "../http2/server-stream.ts";
import type { ObservedCall } from "./call-observer.ts";

/** Has a stream served as part of its call. */
export class ConsumerInCall implements StreamConsumer {
  readonly #consumer: StreamConsumer;
  readonly #run: NonNullable<ObservedCall["run"]>;

  constructor(consumer: StreamConsumer, run: NonNullable<ObservedCall["run"]>) {
    this.#consumer = consumer;
    this.#run = run;
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.#run(() => this.#consumer.onData(bytes, start, end));
  }

  onEnd(): void {
    this.#run(() => this.#consumer.onEnd());
  }

  onWritable(): void {
    this.#run(() => this.#consumer.onWritable());
  }

  onOver(): void {
    this.#run(() => this.#consumer.onOver());
  }
}
