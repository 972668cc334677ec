import { byId, make, say, svg, type Tone } from "./dom.ts";
import { countText, durationText, momentText, rateText, shareText, timeText, wordsOf } from "./format.ts";
import type { History } from "./history.ts";
import type { Fleet, Replica, Status } from "./status.ts";

const SHARE_WINDOW_MS = 60_000;
/** Of a fleet list that is older, the time is told. */
const FLEET_FRESH_MS = 5_000;

/** Everything below the charts but the feed. */
export function showTables(status: Status, history: History): void {
  showSources(history);
  showReplicas(status);
  showErrors(status);
  showUpstream(status);
}

function showSources(history: History): void {
  const span = history.span(SHARE_WINDOW_MS);
  const counts = span?.bySource ?? [];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const rows = history.sources.map((source, place) => {
    const count = counts[place] ?? 0;
    const row = make("div", "", { class: "row" });
    const rate = span === undefined ? "–" : `${rateText(count / span.seconds)} /s`;
    row.append(
      make("span", wordsOf(source)),
      bar(wordsOf(source), total === 0 ? 0 : count / total),
      make("span", shareText(count, total), { class: "value" }),
      make("span", rate, { class: "value muted" }),
    );
    return row;
  });
  byId("sources", HTMLElement).replaceChildren(...rows);
  const verdicts = [...(span?.byVerdict ?? [])].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  const text = verdicts.map(([verdict, count]) => `${wordsOf(verdict)} ${shareText(count, total)}`).join(" · ");
  say(byId("verdicts", HTMLElement), text === "" ? "no verdicts" : `verdicts: ${text}`);
}

function bar(color: string, share: number): SVGElement {
  const drawing = svg("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" });
  drawing.append(
    svg("rect", { class: "track", width: 100, height: 12 }),
    svg("rect", { class: `c-${color}`, width: Math.max(share > 0 ? 0.5 : 0, share * 100), height: 12 }),
  );
  return drawing;
}

function showReplicas({ fleet, freshness, workers }: Status): void {
  const rows = (fleet?.replicas ?? []).map((replica) => replicaRow(replica, freshness.boundMs, headOf(fleet)));
  byId("replicas", HTMLElement).replaceChildren(...rows);
  say(byId("replicas-state", HTMLElement), [fleetText(fleet), ...workersText(workers)].join(" · "));
}

function fleetText(fleet: Fleet | undefined): string {
  if (fleet?.readAtMs === undefined) return "the log has not been asked";
  const { readAtMs, replicas } = fleet;
  const count = `${replicas.length} ${replicas.length === 1 ? "follows" : "follow"} the log`;
  return Date.now() - readAtMs > FLEET_FRESH_MS ? `as of ${timeText(readAtMs)}: the log does not answer` : count;
}

function workersText(workers: Status["workers"]): string[] {
  if (workers === undefined) return [];
  const { configured, reporting, restarts } = workers;
  return [`figures of ${reporting} of ${configured} workers, ${countText(restarts)} restarts`];
}

function replicaRow({ name, cursor, silenceMs, isSelf }: Replica, boundMs: number, head: string): HTMLElement {
  const row = document.createElement("tr");
  const [state, look] = stateOf(cursor, silenceMs, boundMs, head);
  row.append(
    nameCell(name, isSelf),
    make("td", state, { tone: look, class: "nowrap" }),
    make("td", cursor.split(".").at(-1) || "–", { class: "mono spare", title: cursor }),
    make("td", `${durationText(silenceMs)} ago`, { class: "number nowrap" }),
  );
  return row;
}

function nameCell(name: string, isSelf: boolean): HTMLElement {
  const cell = make("td", name, { class: "text" });
  if (isSelf) cell.append(" ", make("small", "this one"));
  return cell;
}

function stateOf(cursor: string, silenceMs: number, boundMs: number, head: string): [string, Tone] {
  if (boundMs > 0 && silenceMs > boundMs) return ["✕ silent", "bad"];
  if (cursor === "") return ["▲ starting", "warn"];
  return cursor === head ? ["✓ up to date", "good"] : ["▲ behind", "warn"];
}

/** The furthest that any replica has applied the log. */
function headOf(fleet: Fleet | undefined): string {
  const cursors = (fleet?.replicas ?? []).map(({ cursor }) => cursor).filter((cursor) => cursor !== "");
  return cursors.sort((a, b) => placeOf(a) - placeOf(b) || minorOf(a) - minorOf(b)).at(-1) ?? "";
}

function placeOf(cursor: string): number {
  return Number(/\.(\d+)-/.exec(cursor)?.[1] ?? 0);
}

function minorOf(cursor: string): number {
  return Number(/-(\d+)$/.exec(cursor)?.[1] ?? 0);
}

function showErrors({ errors }: Status): void {
  const rows = errors.map(({ method, code, reason, count, firstAtMs, lastAtMs }) => {
    const row = document.createElement("tr");
    row.append(
      make("td", momentText(lastAtMs), { class: "nowrap", title: `first at ${momentText(firstAtMs)}` }),
      make("td", method, { class: "nowrap" }),
      breakable(make("td", reason, { class: "text", title: `status ${code}` })),
      make("td", countText(count), { class: "number" }),
    );
    return row;
  });
  byId("errors", HTMLElement).replaceChildren(...rows);
  byId("errors-empty", HTMLElement).hidden = rows.length > 0;
}

/** Lets a name with underscores break after one. */
function breakable(cell: HTMLElement): HTMLElement {
  const parts = (cell.textContent ?? "").split(/(?<=_)/);
  cell.replaceChildren(...parts.flatMap((part, at) => (at === 0 ? [part] : [document.createElement("wbr"), part])));
  return cell;
}

function showUpstream({ upstream, revocations, cache }: Status): void {
  const state = byId("upstream-state", HTMLElement);
  say(state, upstream.isReachable ? "✓ reachable" : "✕ does not answer");
  state.dataset.tone = upstream.isReachable ? "good" : "bad";
  const facts: readonly (readonly [string, string])[] = [
    ["URL", upstream.url],
    ["Last failure", upstream.lastFailureReason === "" ? "none" : upstream.lastFailureReason],
    ["Requests", `${countText(upstream.requests)}, ${countText(upstream.retries)} retries`],
    ["Failures", `${countText(upstream.failures)}, ${countText(upstream.shed)} shed here`],
    ["Now", `${countText(upstream.inFlight)} in flight, ${countText(upstream.queued)} queued`],
    ["Cache", `${countText(cache.entries)} held, ${countText(cache.evictions)} evicted`],
    ["Revocations", `${countText(revocations.live)} live, ${countText(revocations.unrecorded)} unrecorded`],
    ["Watchers", countText(revocations.watchers)],
  ];
  const parts = facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]);
  byId("upstream", HTMLElement).replaceChildren(...parts);
}
