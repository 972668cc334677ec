import { type Scale, spread } from "./axis.ts";
import { svg } from "./dom.ts";

/** One curve. */
export interface Series {
  readonly name: string;
  /** The class of the stylesheet that colours it: `memory` for `c-memory` and `s-memory`. */
  readonly color: string;
  /** One for each instant; `undefined` where nothing is known. */
  readonly values: readonly (number | undefined)[];
}

export interface ChartData {
  /** In milliseconds, ascending, by the clock of `nowMs`. */
  readonly times: readonly number[];
  readonly nowMs: number;
  readonly series: readonly Series[];
  /** What screen readers are told of it. */
  readonly summary: string;
}

export interface ChartOptions {
  readonly windowMs: number;
  /** Areas on top of each other, the first at the bottom; else lines. */
  readonly stacked: boolean;
  readonly scaleOf: (largest: number) => Scale;
  /** Where a value is between the bottom, 0, and the top, 1. */
  readonly position: (value: number, scale: Scale) => number;
  readonly tickText: (value: number) => string;
  readonly valueText: (value: number) => string;
  /** What is said while there is nothing to draw. */
  readonly none: string;
  /** Called with the instant that the reader points at, and with `undefined` when with none. */
  readonly onPoint: (at: number | undefined) => void;
}

const MARGIN = { top: 8, right: 100, bottom: 20, left: 44 };
/** The least distance of two names of instants. */
const NAME_DISTANCE = 52;
const LABEL_DISTANCE = 14;
const MINUTE_MS = 60_000;

/** Curves over the last minutes, drawn anew with every change: a few hundred points are no work. */
export class Chart {
  readonly #host: HTMLElement;
  readonly #options: ChartOptions;
  readonly #svg: SVGElement;
  #data: ChartData | undefined;
  #pointed: number | undefined;

  constructor(host: HTMLElement, options: ChartOptions) {
    this.#host = host;
    this.#options = options;
    this.#svg = svg("svg", { role: "img", tabindex: 0, "aria-label": options.none });
    host.append(this.#svg);
    new ResizeObserver(() => this.#redraw()).observe(host);
    this.#listen();
  }

  draw(data: ChartData): void {
    // The same instant stays pointed at, though it has moved.
    const pointedMs = this.#pointed === undefined ? undefined : this.#data?.times[this.#pointed];
    this.#data = data;
    const at = pointedMs === undefined ? -1 : data.times.indexOf(pointedMs);
    this.#point(at === -1 ? undefined : at);
    this.#redraw();
  }

  #listen(): void {
    this.#svg.addEventListener("pointermove", (event) => this.#pointNear(event));
    this.#svg.addEventListener("pointerleave", () => this.#point(undefined, true));
    this.#svg.addEventListener("blur", () => this.#point(undefined, true));
    this.#svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const last = (this.#data?.times.length ?? 0) - 1;
      if (event.key === "Escape") this.#point(undefined, true);
      if (step === undefined || last < 0) return;
      event.preventDefault();
      this.#point(Math.min(last, Math.max(0, (this.#pointed ?? last) + step)), true);
    });
  }

  #pointNear({ clientX }: PointerEvent): void {
    const data = this.#data;
    if (data === undefined) return;
    const x = clientX - this.#host.getBoundingClientRect().left;
    const distances = data.times.map((timeMs) => Math.abs(this.#x(timeMs, data.nowMs) - x));
    const nearest = distances.indexOf(Math.min(...distances));
    this.#point(nearest === -1 ? undefined : nearest, true);
  }

  #point(at: number | undefined, redraw = false): void {
    this.#pointed = at;
    this.#options.onPoint(at);
    if (redraw) this.#redraw();
  }

  get #width(): number {
    return this.#host.clientWidth;
  }

  get #height(): number {
    return this.#host.clientHeight;
  }

  #x(timeMs: number, nowMs: number): number {
    const inner = this.#width - MARGIN.left - MARGIN.right;
    return MARGIN.left + inner * (1 - (nowMs - timeMs) / this.#options.windowMs);
  }

  #y(value: number, scale: Scale): number {
    const inner = this.#height - MARGIN.top - MARGIN.bottom;
    return MARGIN.top + inner * (1 - this.#options.position(value, scale));
  }

  #redraw(): void {
    const data = this.#data;
    const layers = data === undefined ? [] : this.#layersOf(data);
    const values = layers.flatMap(({ tops }) => tops.filter((value) => value !== undefined));
    const scale = this.#options.scaleOf(Math.max(0, ...values));
    const parts: SVGElement[] = [...this.#axes(scale)];
    if (data !== undefined) {
      for (const layer of layers) parts.push(...this.#curve(layer, data, scale));
      parts.push(...this.#labels(layers, scale), ...this.#cross(data));
      this.#svg.setAttribute("aria-label", data.summary);
    }
    if (values.length === 0) parts.push(this.#none());
    this.#svg.replaceChildren(...parts);
  }

  #layersOf({ series }: ChartData): readonly Layer[] {
    const { stacked } = this.#options;
    let below: readonly (number | undefined)[] = [];
    return series.map(({ name, color, values }) => {
      const bottoms = stacked ? values.map((_, at) => below[at] ?? 0) : undefined;
      const tops = values.map((value, at) => (value === undefined ? undefined : value + (bottoms?.[at] ?? 0)));
      below = tops;
      return { name, color, values, bottoms, tops };
    });
  }

  #axes(scale: Scale): SVGElement[] {
    const right = this.#width - MARGIN.right;
    const bottom = this.#height - MARGIN.bottom;
    const rows = scale.ticks.flatMap((tick) => {
      const y = this.#y(tick, scale);
      return [
        svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y, y2: y }),
        svg("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, this.#options.tickText(tick)),
      ];
    });
    const perMinute = this.#x(0, 0) - this.#x(-MINUTE_MS, 0);
    const step = Math.max(1, Math.ceil(NAME_DISTANCE / Math.max(1, perMinute)));
    const minutes = Array.from(
      { length: Math.floor(this.#options.windowMs / MINUTE_MS / step) + 1 },
      (_, at) => at * step,
    );
    const columns = minutes.map((minute) => {
      const text = minute === 0 ? "now" : `−${minute} min`;
      return svg("text", { x: this.#x(-minute * MINUTE_MS, 0), y: bottom + 15, "text-anchor": "middle" }, text);
    });
    return [...rows, ...columns];
  }

  #curve({ color, tops, bottoms }: Layer, { times, nowMs }: ChartData, scale: Scale): SVGElement[] {
    const place = (at: number, value: number) =>
      `${this.#x(times[at] ?? 0, nowMs).toFixed(1)} ${this.#y(value, scale).toFixed(1)}`;
    return runsOf(tops, times, nowMs - this.#options.windowMs).map((run) => {
      const upper = run.map((at) => place(at, tops[at] ?? 0));
      if (bottoms === undefined) return svg("path", { class: `line s-${color}`, d: `M${upper.join("L")}` });
      const lower = run.map((at) => place(at, bottoms[at] ?? 0)).reverse();
      return svg("path", { class: `area c-${color}`, d: `M${[...upper, ...lower].join("L")}Z` });
    });
  }

  /** At the end of the curves, so that nobody has to match colours with a legend. */
  #labels(layers: readonly Layer[], scale: Scale): SVGElement[] {
    const ends = layers.flatMap(({ name, color, values, tops, bottoms }) => {
      const value = values.at(-1);
      const top = tops.at(-1);
      if (value === undefined || top === undefined || (this.#options.stacked && value === 0)) return [];
      const text = `${name} ${this.#options.valueText(value)}`;
      return [{ text, color, y: this.#y((top + (bottoms?.at(-1) ?? top)) / 2, scale) }];
    });
    ends.sort((a, b) => a.y - b.y);
    const places = spread(
      ends.map(({ y }) => y),
      LABEL_DISTANCE,
      this.#height - MARGIN.bottom,
    );
    const x = this.#width - MARGIN.right + 8;
    return ends.map(({ text, color }, at) =>
      svg("text", { class: `label c-${color}`, x, y: (places[at] ?? 0) + 4 }, text),
    );
  }

  #cross({ times, nowMs }: ChartData): SVGElement[] {
    const timeMs = this.#pointed === undefined ? undefined : times[this.#pointed];
    if (timeMs === undefined) return [];
    const x = this.#x(timeMs, nowMs);
    return [svg("line", { class: "cross", x1: x, x2: x, y1: MARGIN.top, y2: this.#height - MARGIN.bottom })];
  }

  #none(): SVGElement {
    const x = (this.#width - MARGIN.right + MARGIN.left) / 2;
    return svg("text", { class: "none", x, y: this.#height / 2, "text-anchor": "middle" }, this.#options.none);
  }
}

interface Layer {
  readonly name: string;
  readonly color: string;
  readonly values: readonly (number | undefined)[];
  /** Where the area begins; `undefined` for a line. */
  readonly bottoms: readonly number[] | undefined;
  readonly tops: readonly (number | undefined)[];
}

/** Stretches of known values, by their places: a curve has a gap where nothing is known. */
function runsOf(values: readonly (number | undefined)[], times: readonly number[], fromMs: number): number[][] {
  const runs: number[][] = [];
  let run: number[] = [];
  for (const [at, value] of values.entries()) {
    if (value === undefined || (times[at] ?? 0) < fromMs) run = [];
    else {
      if (run.length === 0) runs.push(run);
      run.push(at);
    }
  }
  return runs;
}
