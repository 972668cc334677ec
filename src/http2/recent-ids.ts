/** Stream identifiers that were put in, for frames that may still be under way to streams that were reset. */
export class RecentIds {
  readonly #ids = new Uint32Array(64);
  #next = 0;
  /** The highest that was forgotten: of those up to it nothing is certain any more. */
  #forgotten = 0;

  add(id: number): void {
    this.#forgotten = Math.max(this.#forgotten, this.#ids[this.#next] ?? 0);
    this.#ids[this.#next] = id;
    this.#next = (this.#next + 1) % this.#ids.length;
  }

  /** Whether it was put in, as far as that is remembered. */
  mayHave(id: number): boolean {
    return id <= this.#forgotten || this.#ids.includes(id);
  }
}
