/** A key of the upstream. Prints, serialises and inspects as its prefix only; `reveal` is the way to its text. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  /** The public start of the key, for example `ak_…` or `sk_test_…`. */
  get prefix(): string {
    return `${/^(?:ak_|sk_live_|sk_test_)/.exec(this.#text)?.[0] ?? ""}…`;
  }

  toString(): string {
    return `[secret ${this.prefix}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
