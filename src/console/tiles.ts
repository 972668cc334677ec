import { byId, partOf, say, type Tone, tone } from "./dom.ts";
import { countText, durationText, latencyText, rateText, shareText, usdText, wordsOf } from "./format.ts";
import type { History } from "./history.ts";
import type { Status } from "./status.ts";

const TONES: Readonly<Record<string, Tone>> = {
  SYNCED: "good",
  DEGRADED: "warn",
  UNSYNCED: "warn",
  NOT_SERVING: "bad",
};
/** The state in a shape too, for those who cannot tell the colours apart. */
const MARKS: Readonly<Record<string, string>> = { SYNCED: "✓", DEGRADED: "▲", UNSYNCED: "▲", NOT_SERVING: "✕" };

const RATE_WINDOW_MS = 10_000;
const HIT_WINDOW_MS = 60_000;

/** The figures at the top of the page. */
export function showTiles(status: Status, history: History): void {
  showFreshness(status);
  showRate(history);
  showLatency(status, history);
  showHits(status, history);
  show("tile-saved", usdText(status.spend.savedUsd), `spent ${usdText(status.spend.spentUsd)}, by list price`);
}

/** What was true of a gateway that does not answer may be so no longer. */
export function forgetFreshness(): void {
  show("tile-freshness", "? Unknown", "not told since the gateway went away");
}

function showFreshness({ freshness }: Status): void {
  const { state, stalenessMs, worstStalenessMs, boundMs } = freshness;
  const word = wordsOf(state);
  const figure = `${MARKS[state] ?? "?"} ${word.charAt(0).toUpperCase()}${word.slice(1)}`;
  const bound = boundMs === 0 ? "" : `, bound ${durationText(boundMs)}`;
  const note = `stale ${durationText(stalenessMs)}, worst ${durationText(worstStalenessMs)}${bound}`;
  show("tile-freshness", figure, note, TONES[state]);
  const tile = byId("tile-freshness", HTMLElement);
  const share = boundMs === 0 ? 0 : Math.min(1, stalenessMs / boundMs);
  const meter = partOf(tile, "meter");
  meter.style.transform = `scaleX(${share})`;
  const frame = meter.parentElement;
  if (frame === null) return;
  frame.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  tone(frame, share >= 1 ? "bad" : undefined);
}

function showRate(history: History): void {
  const span = history.span(RATE_WINDOW_MS);
  if (span === undefined) {
    show("tile-rate", "–", "counting");
    return;
  }
  const verified = span.bySource.reduce((sum, count) => sum + count, 0) / span.seconds;
  const failed = span.failures / span.seconds;
  const note = `${rateText(verified)} verified /s, ${rateText(failed)} failed /s`;
  show("tile-rate", `${rateText(span.calls / span.seconds)} /s`, note, failed > 0 ? "warn" : undefined, "note");
}

function showLatency({ durationBoundsMs }: Status, history: History): void {
  const point = history.points.at(-1);
  const leastMs = durationBoundsMs[0] ?? 0;
  if (point?.p99Ms === undefined || point.p50Ms === undefined) {
    show("tile-latency", "–", "no VerifyToken calls");
    return;
  }
  const text = (ms: number) => `${latencyText(ms, leastMs)} ms`;
  show("tile-latency", text(point.p99Ms), `p50 ${text(point.p50Ms)}`);
}

function showHits({ cache }: Status, history: History): void {
  const span = history.span(HIT_WINDOW_MS);
  const since = `${shareText(cache.hits, cache.hits + cache.misses)} since start, ${countText(cache.entries)} held`;
  show("tile-hits", span === undefined ? "–" : shareText(span.hits, span.hits + span.misses), since);
}

function show(id: string, figure: string, note: string, look?: Tone, toned = "figure"): void {
  const tile = byId(id, HTMLElement);
  say(partOf(tile, "figure"), figure);
  say(partOf(tile, "note"), note);
  tone(partOf(tile, toned), look);
}
