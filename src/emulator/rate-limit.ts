import { apiError } from "./errors.ts";

const WINDOW_MS = 10_000;

interface Window {
  readonly startMs: number;
  count: number;
}

/** Counts each key's requests in windows of 10 s; a key's window begins with its first request. */
export class RateLimit {
  readonly #windows = new Map<string, Window>();

  /**
   * Counts one request.
   *
   * @throws ApiError too_many_requests, with Retry-After in whole seconds, when `limit` have been counted; 0 is no limit
   */
  count(key: string, limit: number, nowMs: number): void {
    if (limit === 0) return;
    const window = this.#windowOf(key, nowMs);
    if (window.count >= limit) {
      const seconds = Math.max(1, Math.ceil((window.startMs + WINDOW_MS - nowMs) / 1000));
      throw apiError("too_many_requests", { headers: { "retry-after": String(seconds) } });
    }
    window.count += 1;
  }

  reset(): void {
    this.#windows.clear();
  }

  #windowOf(key: string, nowMs: number): Window {
    const present = this.#windows.get(key);
    if (present !== undefined && nowMs < present.startMs + WINDOW_MS) return present;
    const window = { startMs: nowMs, count: 0 };
    this.#windows.set(key, window);
    return window;
  }
}
