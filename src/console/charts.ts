import { linearScale, logScale } from "./axis.ts";
import { Chart } from "./chart.ts";
import { byId, say } from "./dom.ts";
import { countText, latencyText, rateText, timeText, wordsOf } from "./format.ts";
import { type History, type Point, WINDOW_MS } from "./history.ts";

/** The least that the gateway tells apart, and so where the axis begins. */
const LEAST_MS = 0.1;

/** The curves of the page. */
export class Charts {
  readonly #history: History;
  readonly #rate: Chart;
  readonly #latency: Chart;

  constructor(history: History) {
    this.#history = history;
    this.#rate = new Chart(byId("rate-chart", HTMLElement), {
      windowMs: WINDOW_MS,
      stacked: true,
      scaleOf: linearScale,
      position: (value, { max }) => value / max,
      tickText: countText,
      valueText: rateText,
      none: "No verifications yet",
      onPoint: (at) => this.#read("rate-readout", at, (point) => this.#rateText(point)),
    });
    this.#latency = new Chart(byId("latency-chart", HTMLElement), {
      windowMs: WINDOW_MS,
      stacked: false,
      scaleOf: (largest) => logScale(LEAST_MS, largest),
      position: (value, { max }) => Math.log(Math.max(value, LEAST_MS) / LEAST_MS) / Math.log(max / LEAST_MS),
      tickText: (value) => value.toLocaleString("en-US"),
      valueText: (value) => latencyText(value, LEAST_MS),
      none: "No VerifyToken calls yet",
      onPoint: (at) => this.#read("latency-readout", at, latencyPointText),
    });
  }

  /** @param nowMs by the clock of the samples */
  draw(nowMs: number): void {
    const { points, sources } = this.#history;
    const times = points.map(({ atMs }) => atMs);
    const bySource = sources.map((source, place) => ({
      name: wordsOf(source),
      color: wordsOf(source),
      values: points.map((point) => point.bySource?.[place]),
    }));
    const isQuiet = points.every(({ bySource: rates }) => (rates ?? []).every((rate) => rate === 0));
    const latest = points.at(-1);
    const summary = latest === undefined ? "" : `Verifications per second: ${this.#rateText(latest)}`;
    this.#rate.draw({ times, nowMs, summary, series: isQuiet ? [] : bySource });
    const line = (name: "p50" | "p99", value: (point: Point) => number | undefined) => ({
      name,
      color: name,
      values: points.map(value),
    });
    this.#latency.draw({
      times,
      nowMs,
      summary: latest === undefined ? "" : `VerifyToken latency: ${latencyPointText(latest)}`,
      series: [line("p50", ({ p50Ms }) => p50Ms), line("p99", ({ p99Ms }) => p99Ms)],
    });
  }

  #read(id: string, at: number | undefined, textOf: (point: Point) => string): void {
    const point = at === undefined ? undefined : this.#history.points[at];
    const wallMs = point === undefined ? 0 : Date.now() - (performance.now() - point.atMs);
    say(byId(id, HTMLElement), point === undefined ? "last 5 minutes" : `${timeText(wallMs)}: ${textOf(point)}`);
  }

  #rateText({ bySource }: Point): string {
    if (bySource === undefined) return "not known";
    const parts = this.#history.sources.flatMap((source, place) => {
      const rate = bySource[place] ?? 0;
      return rate === 0 ? [] : [`${wordsOf(source)} ${rateText(rate)}`];
    });
    return parts.length === 0 ? "none" : parts.join(", ");
  }
}

function latencyPointText({ p50Ms, p99Ms }: Point): string {
  if (p50Ms === undefined || p99Ms === undefined) return "no calls";
  return `p50 ${latencyText(p50Ms, LEAST_MS)} ms, p99 ${latencyText(p99Ms, LEAST_MS)} ms`;
}
