import { ratiosOf, type Summary, summarize } from "./statistics.ts";

/** What is measured of one peer in one shape, round by round. */
export type Metric = "requestsPerSecond" | "cpuMicros" | "rssMib" | "serverBusy" | "p50Micros" | "p99Micros";

export type Figures = Readonly<Record<string, number | string>>;

/** For each shape, how many times each peer's figure the subject's is. */
export type Ratios = Record<string, Record<string, number>>;

export interface Gap {
  readonly what: string;
  readonly why: string;
}

/** The peer that the others are compared with. */
const SUBJECT = "gateway";

/** All that a run finds out. */
export class RunRecord {
  /** By shape, peer and metric, a value for each round. */
  readonly #rounds = new Map<string, Map<string, Map<Metric, number[]>>>();
  readonly #figures = new Map<string, Figures>();
  readonly titles = new Map<string, string>();
  /** What could not be run, and why: part of the result. */
  readonly gaps: Gap[] = [];
  /** What was run and went wrong: the run fails. */
  readonly failures: Gap[] = [];

  addRound(shape: string, peer: string, values: Partial<Readonly<Record<Metric, number>>>): void {
    const peers = this.#rounds.get(shape) ?? new Map<string, Map<Metric, number[]>>();
    this.#rounds.set(shape, peers);
    const metrics = peers.get(peer) ?? new Map<Metric, number[]>();
    peers.set(peer, metrics);
    for (const [metric, value] of Object.entries(values) as [Metric, number][]) {
      metrics.set(metric, [...(metrics.get(metric) ?? []), value]);
    }
  }

  setFigures(section: string, figures: Figures): void {
    this.#figures.set(section, { ...this.#figures.get(section), ...figures });
  }

  /** Once for each, however many rounds it is missing from. */
  addGap(what: string, why: string): void {
    if (!this.gaps.some((gap) => gap.what === what)) this.gaps.push({ what, why });
  }

  addFailure(what: string, why: string): void {
    if (!this.failures.some((failure) => failure.what === what && failure.why === why))
      this.failures.push({ what, why });
  }

  get shapes(): readonly string[] {
    return [...this.#rounds.keys()];
  }

  get figures(): ReadonlyMap<string, Figures> {
    return this.#figures;
  }

  peersIn(shape: string): readonly string[] {
    return [...(this.#rounds.get(shape)?.keys() ?? [])];
  }

  summary(shape: string, peer: string, metric: Metric): Summary | undefined {
    const rounds = this.#rounds.get(shape)?.get(peer)?.get(metric);
    return rounds === undefined ? undefined : summarize(rounds);
  }

  /**
   * Throughput of the subject over each peer's, by shape; for shapes of latency also `<shape> p50` and `<shape> p99`, where
   * less is better.
   */
  throughputRatios(): Ratios {
    const ratios = this.#ratios("requestsPerSecond", (shape) => shape);
    const p50 = this.#ratios("p50Micros", (shape) => `${shape} p50`);
    return { ...ratios, ...p50, ...this.#ratios("p99Micros", (shape) => `${shape} p99`) };
  }

  /** CPU per request of each peer over the subject's, by shape: more is better for the subject, as with throughput. */
  cpuRatios(): Ratios {
    const inverse = this.#ratios("cpuMicros", (shape) => shape);
    for (const [shape, ratios] of Object.entries(inverse)) {
      inverse[shape] = Object.fromEntries(
        Object.entries(ratios).flatMap(([peer, ratio]) => Object.entries(ratiosOf(1, { [peer]: ratio }))),
      );
    }
    return inverse;
  }

  #ratios(metric: Metric, name: (shape: string) => string): Ratios {
    const all: Ratios = {};
    for (const shape of this.shapes) {
      const subject = this.summary(shape, SUBJECT, metric)?.median;
      if (subject === undefined) continue;
      const others = this.peersIn(shape).filter((peer) => peer !== SUBJECT);
      const medians = others.flatMap((peer) => {
        const median = this.summary(shape, peer, metric)?.median;
        return median === undefined ? [] : [[peer, median] as const];
      });
      const ratios = ratiosOf(subject, Object.fromEntries(medians));
      if (Object.keys(ratios).length > 0) all[name(shape)] = ratios;
    }
    return all;
  }

  /** As JSON, medians and rounds included. */
  results(): Record<string, Record<string, Record<string, Summary>>> {
    return Object.fromEntries(
      [...this.#rounds].map(([shape, peers]) => [
        shape,
        Object.fromEntries(
          [...peers].map(([peer, metrics]) => [
            peer,
            Object.fromEntries([...metrics].map(([metric, rounds]) => [metric, summarize(rounds)])),
          ]),
        ),
      ]),
    );
  }
}
