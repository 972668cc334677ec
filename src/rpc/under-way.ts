/** What is being done for callers, also for those who have left. */
export class UnderWay {
  readonly #open = new Set<Promise<void>>();

  add(work: Promise<unknown>): void {
    const done = work.then(ignore, ignore);
    this.#open.add(done);
    void done.then(() => this.#open.delete(done));
  }

  /** Resolves once nothing is under way. */
  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }
}

/** How it ends is for those to hear who asked for it. */
function ignore(): void {}
