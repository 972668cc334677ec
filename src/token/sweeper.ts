import type { Clock, Upstream, VerdictStore } from "./ports.ts";
import type { Recorder } from "./recorder.ts";
import type { Revocations } from "./revocations.ts";
import type { MachineId } from "./token.ts";

export interface SweeperOptions {
  readonly upstream: Upstream;
  readonly store: VerdictStore | undefined;
  readonly recorder: Recorder;
  readonly revocations: Revocations;
  readonly clock: Clock;
  /** How often each machine's tokens are listed, in milliseconds. */
  readonly intervalMs: number;
  /** Revocations older than this are of no interest: nothing that they contradict is alive. */
  readonly retentionMs: number;
  readonly onError: (error: unknown) => void;
}

const PAGE_SIZE = 100;
const MAX_PAGES = 20;
const MAX_SUBJECTS = 1_000;

/**
 * Lists the revoked tokens of every machine whose tokens were seen, by one replica for all, and makes facts of the
 * revocations that nobody told the gateway of.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #subjects = new Set<MachineId>();
  #closed = false;
  #cancel = () => {};
  discovered = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  /** A token of this machine was verified. */
  seen(subject: MachineId): void {
    if (this.#subjects.size < MAX_SUBJECTS) this.#subjects.add(subject);
  }

  /** Lists every machine's tokens once. */
  async sweep(): Promise<void> {
    for (const subject of [...this.#subjects]) {
      if (this.#closed) return;
      const { store, intervalMs } = this.#options;
      if (store !== undefined && !(await store.claim(`sweep ${subject}`, intervalMs / 2))) continue;
      await this.#sweepSubject(subject).catch(this.#options.onError);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(this.#options.intervalMs, () => {
      void this.sweep().finally(() => this.#schedule());
    });
  }

  async #sweepSubject(subject: MachineId): Promise<void> {
    const { upstream, recorder, revocations, clock, retentionMs } = this.#options;
    const { signal } = new AbortController();
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { tokens, totalCount } = await upstream.listTokens(
        { subject, includeRevoked: true, includeExpired: false, limit: PAGE_SIZE, offset: page * PAGE_SIZE },
        signal,
      );
      for (const token of tokens) {
        const isNews = token.revoked && revocations.findFor(token) === undefined;
        if (!isNews || token.updatedAtMs < clock.wallMs() - retentionMs) continue;
        this.discovered += 1;
        recorder.recordInBackground(recorder.factOf(token, "reconciled"));
      }
      if (tokens.length === 0 || (page + 1) * PAGE_SIZE >= totalCount) return;
    }
  }
}
