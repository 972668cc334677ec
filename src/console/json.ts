/**
 * What the gateway sends, read field by field. Its JSON leaves out what is zero, empty or absent, and writes 64-bit
 * numbers as text. What has another type than it should is taken for absent: a newer gateway must not break the page.
 */
export class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    this.#fields = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  }

  /** @throws SyntaxError */
  static parse(json: string): Fields {
    return new Fields(JSON.parse(json));
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  text(name: string): string {
    const value = this.#fields[name];
    return typeof value === "string" ? value : "";
  }

  count(name: string): number {
    return numberOf(this.#fields[name]);
  }

  flag(name: string): boolean {
    return this.#fields[name] === true;
  }

  /** A Duration, such as `1.500s`, in milliseconds. */
  durationMs(name: string): number {
    return durationMsOf(this.#fields[name]);
  }

  /** A Timestamp, in milliseconds since the epoch; `undefined` when there is none. */
  timeMs(name: string): number | undefined {
    const timeMs = Date.parse(this.text(name));
    return Number.isNaN(timeMs) ? undefined : timeMs;
  }

  /** An enum's value without the prefix that all of its values have. */
  choice(name: string, prefix: string): string {
    return this.text(name).replace(prefix, "");
  }

  object(name: string): Fields {
    return new Fields(this.#fields[name]);
  }

  list(name: string): readonly Fields[] {
    return this.#array(name).map((value) => new Fields(value));
  }

  texts(name: string): readonly string[] {
    return this.#array(name).filter((value) => typeof value === "string");
  }

  counts(name: string): readonly number[] {
    return this.#array(name).map(numberOf);
  }

  durationsMs(name: string): readonly number[] {
    return this.#array(name).map(durationMsOf);
  }

  /** A map to numbers. */
  countsByName(name: string): ReadonlyMap<string, number> {
    return new Map(Object.entries(this.#fields[name] ?? {}).map(([key, value]) => [key, numberOf(value)]));
  }

  #array(name: string): readonly unknown[] {
    const value = this.#fields[name];
    return Array.isArray(value) ? value : [];
  }
}

function numberOf(value: unknown): number {
  const number = Number(value);
  return Number.isFinite(number) ? number : 0;
}

function durationMsOf(value: unknown): number {
  return typeof value === "string" && value.endsWith("s") ? numberOf(value.slice(0, -1)) * 1000 : 0;
}
