/** One thing wrong with the configuration. None of the texts holds a value that could be a secret. */
export interface Problem {
  /** The variable, the flag, or the file and the key in it. */
  readonly where: string;
  /** What is wrong. Reads on after `where`. */
  readonly what: string;
  /** What to do about it. */
  readonly fix: string;
}

/** The configuration cannot be used. `message` lists all the problems, one a line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`the configuration has ${count}:`, ...problems.map((problem) => `  ${problemLine(problem)}`)].join("\n"));
    this.problems = problems;
  }
}

function problemLine({ where, what, fix }: Problem): string {
  return `${where} ${what}: ${fix}`;
}
