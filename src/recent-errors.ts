import type { CallReport } from "./rpc/call-report.ts";
import type { RecentError } from "./status/snapshots.ts";

/** Far more than an operator reads at once. */
const MAX_KINDS = 50;

/**
 * Errors of late, by kind: one of a thousand alike is worth no more lines than one. Holds names from bounded sets and
 * times, never what an error says.
 */
export class RecentErrors {
  readonly #wallMs: () => number;
  /** In the order of their last occurrence. */
  readonly #kinds = new Map<string, RecentError>();

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** The latest first. */
  get latest(): readonly RecentError[] {
    return [...this.#kinds.values()].reverse();
  }

  note({ service, method, code, reason }: CallReport): void {
    // Whoever leaves knows it, and watchers leave all the time.
    if (reason === undefined || code === "CANCELLED") return;
    const key = `${service}/${method} ${code} ${reason}`;
    const known = this.#kinds.get(key);
    const lastAtMs = this.#wallMs();
    const firstAtMs = known?.firstAtMs ?? lastAtMs;
    this.#kinds.delete(key);
    this.#kinds.set(key, { service, method, code, reason, count: (known?.count ?? 0) + 1, firstAtMs, lastAtMs });
    if (this.#kinds.size > MAX_KINDS) this.#dropOldest();
  }

  #dropOldest(): void {
    const [oldest] = this.#kinds.keys();
    if (oldest !== undefined) this.#kinds.delete(oldest);
  }
}
