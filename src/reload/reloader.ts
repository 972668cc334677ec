import { ConfigError } from "../config/problem.ts";
import type { Logger } from "../logger.ts";
import type { ReloadedFiles, ReloadSnapshot } from "../status/snapshots.ts";
import type { Clock } from "../token/ports.ts";
import { FileWatch } from "./file-watch.ts";

export interface ReloaderOptions<T> {
  readonly files: ReloadedFiles;
  readonly paths: readonly string[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is in use already. Plain data. */
  readonly current: T;
  /** What the files say. `readFile` gives their texts as of one moment. @throws ConfigError when it cannot be used */
  readonly parse: (readFile: (path: string) => string) => T;
  /** Uses it from now on. When it throws, what was in use still is. */
  readonly apply: (value: T) => void;
}

/**
 * Takes over what a group of files says anew. What cannot be used is refused, loudly and once, and what was in use stays:
 * files that are being written are whole at the next look.
 */
export class Reloader<T> {
  readonly #options: ReloaderOptions<T>;
  readonly #watch: FileWatch;
  #current: T;
  #applied = 0;
  #refused = 0;
  #isRefused = false;

  constructor(options: ReloaderOptions<T>) {
    this.#options = options;
    this.#current = options.current;
    const { paths, intervalMs, clock } = options;
    this.#watch = new FileWatch({
      ...{ paths, intervalMs, clock },
      onChange: (texts) => this.#take(texts),
      onUnreadable: ({ path, code }) => this.#refuse({ path, code }),
    });
  }

  /** Whether there are no files to look at. */
  get isIdle(): boolean {
    return this.#options.paths.length === 0;
  }

  /** What is in use. */
  get current(): T {
    return this.#current;
  }

  get snapshot(): ReloadSnapshot {
    return {
      files: this.#options.files,
      applied: this.#applied,
      refused: this.#refused,
      isRefused: this.#isRefused,
    };
  }

  start(): void {
    this.#watch.start();
  }

  /** Looks now. */
  look(): Promise<void> {
    return this.#watch.look();
  }

  close(): void {
    this.#watch.close();
  }

  #take(texts: ReadonlyMap<string, string>): void {
    const { parse, apply, files, log } = this.#options;
    try {
      const value = parse((path) => texts.get(path) ?? "");
      const isNews = JSON.stringify(value) !== JSON.stringify(this.#current);
      if (isNews) {
        apply(value);
        this.#current = value;
        this.#applied += 1;
      }
      if (isNews || this.#isRefused) log.info({ files }, "reloaded");
      this.#isRefused = false;
    } catch (error) {
      this.#refuse(error instanceof ConfigError ? { problems: error.problems } : { err: error });
    }
  }

  #refuse(why: object): void {
    this.#refused += 1;
    this.#isRefused = true;
    const { files, log } = this.#options;
    log.error({ files, ...why }, "files were not reloaded: what they said before stays in use");
  }
}
