import { Histogram } from "prom-client";

/** One series of a histogram that is counted elsewhere. */
export interface HistogramSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Upper bounds of the buckets but the last, in the unit of the metric. */
  readonly bounds: readonly number[];
  /** By bucket, each without those of the others; the last has no bound. */
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

interface ReadHistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: () => readonly HistogramSeries[];
}

/** A histogram whose counts are owned elsewhere and read when somebody asks. To be registered by its maker. */
export class ReadHistogram extends Histogram {
  readonly #options: ReadHistogramOptions;
  /** Never filled: it lends its name, help and type. */
  readonly #empty: Histogram;

  constructor(options: ReadHistogramOptions) {
    const { name, help, labelNames } = options;
    const configuration = { name, help, labelNames, registers: [] };
    super(configuration);
    this.#empty = new Histogram(configuration);
    this.#options = options;
  }

  override async get() {
    const described = await this.#empty.get();
    return { ...described, values: this.#options.read().flatMap((series) => this.#samples(series)) };
  }

  /** What the text format is made from; the base class would give its own series here. */
  getForPromString() {
    return this.get();
  }

  #samples({ labels, bounds, counts, sum }: HistogramSeries) {
    const { name } = this.#options;
    let count = 0;
    const cumulative = [...bounds, "+Inf"].map((le, bucket) => {
      count += counts[bucket] ?? 0;
      return { labels: { le, ...labels }, value: count, metricName: `${name}_bucket` };
    });
    return [
      ...cumulative,
      { labels: { ...labels }, value: sum, metricName: `${name}_sum` },
      { labels: { ...labels }, value: count, metricName: `${name}_count` },
    ];
  }
}
