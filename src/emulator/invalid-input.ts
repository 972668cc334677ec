/** A seed, a switch or a fault that cannot be used: every problem found, each naming its place. */
export class InvalidInput extends Error {
  override readonly name = "InvalidInput";
  readonly problems: readonly string[];

  constructor(what: string, problems: readonly string[]) {
    super(`invalid ${what}: ${problems.join("; ")}`);
    this.problems = problems;
  }
}
