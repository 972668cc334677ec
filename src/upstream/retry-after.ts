const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * 1000;

/** Milliseconds that a Retry-After header (seconds or an HTTP date) asks to wait, a day at most; `undefined` for anything else. */
export function parseRetryAfter(header: string | undefined, wallMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d{1,15}$/.test(text)) {
    return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  }
  const dateMs = /^[A-Z][a-z]{2,8}, [\w :-]{1,40} GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.min(Math.max(dateMs - wallMs, 0), MAX_RETRY_AFTER_MS);
}
