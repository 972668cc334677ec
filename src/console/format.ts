const LOCALE = "en-US";

/** `12,345`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString(LOCALE);
}

/** What happens per second: whole numbers where there are many, a decimal where there are few. */
export function rateText(perSecond: number): string {
  if (perSecond === 0) return "0";
  if (perSecond < 0.1) return "< 0.1";
  return perSecond >= 99.95 ? countText(perSecond) : perSecond.toFixed(1);
}

/** Milliseconds with the digits that matter. `leastMs`: below it the gateway does not measure. */
export function latencyText(ms: number, leastMs = 0): string {
  if (ms <= leastMs) return `≤ ${leastMs}`;
  if (ms >= 99.5) return countText(ms);
  return ms >= 9.95 ? ms.toFixed(0) : ms >= 0.995 ? ms.toFixed(1) : ms.toFixed(2);
}

/** A length of time for people: `0 ms`, `840 ms`, `2.3 s`, `4 min`, `3 h 12 min`, `2 d 4 h`. */
export function durationText(ms: number): string {
  if (ms >= 315e12) return "ever";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `98.7 %`; never 100 % of what is not all. */
export function shareText(part: number, whole: number): string {
  if (whole === 0) return "–";
  const percent = (part / whole) * 100;
  return `${(part < whole ? Math.min(99.9, percent) : percent).toFixed(1)} %`;
}

/** Dollars to the cent, or as far as they are not nothing: a verification costs a thousandth of one. */
export function usdText(usd: number): string {
  const digits = usd >= 1 || usd === 0 ? 2 : 5;
  return `$${usd.toLocaleString(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** The time of day, where the page is read. */
export function timeText(wallMs: number): string {
  return new Date(wallMs).toLocaleTimeString(LOCALE, { hour12: false });
}

/** Time of day, with the date when it is not today's. */
export function momentText(wallMs: number): string {
  const day = new Date(wallMs).toLocaleDateString("sv");
  return day === new Date().toLocaleDateString("sv") ? timeText(wallMs) : `${day} ${timeText(wallMs)}`;
}

/** `NOT_SERVING` as `not serving`. */
export function wordsOf(name: string): string {
  return name.toLowerCase().replaceAll("_", " ");
}
