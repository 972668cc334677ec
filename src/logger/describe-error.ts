/** An error as the log has it. */
interface DescribedError {
  readonly name: string;
  readonly message: string;
  /** The stable code of an error of ours. */
  readonly reason?: string;
  /** The system's code, for example ECONNREFUSED. */
  readonly code?: string;
  /** Where it was thrown. Only of errors that are not ours, which nobody expected. */
  readonly stack?: readonly string[];
  readonly cause?: DescribedError | string;
  /** The errors that an AggregateError gathers. */
  readonly errors?: readonly (DescribedError | string)[];
}

const MAX_CHAIN = 8;
const MAX_GATHERED = 8;
const MAX_FRAMES = 12;

/**
 * Name, message, reason, code and cause chain of an error, and nothing else: what other properties of foreign errors hold
 * (requests, headers, bodies) is not known.
 */
export function describeError(error: Error, depth = 0): DescribedError {
  const reason = textAt(error, "reason");
  const code = textAt(error, "code");
  const stack = reason === undefined ? framesOf(error) : [];
  const deeper = depth + 1 < MAX_CHAIN;
  return {
    name: textAt(error, "name") ?? "Error",
    message: textAt(error, "message") ?? "",
    ...(reason === undefined ? {} : { reason }),
    ...(code === undefined ? {} : { code }),
    ...(stack.length === 0 ? {} : { stack }),
    ...(error instanceof AggregateError && deeper ? { errors: gathered(error, depth + 1) } : {}),
    ...(error.cause === undefined
      ? {}
      : { cause: deeper ? describeThrown(error.cause, depth + 1) : "[further causes]" }),
  };
}

function gathered({ errors }: AggregateError, depth: number): (DescribedError | string)[] {
  return errors.slice(0, MAX_GATHERED).map((error: unknown) => describeThrown(error, depth));
}

function describeThrown(thrown: unknown, depth: number): DescribedError | string {
  if (thrown instanceof Error) return describeError(thrown, depth);
  return typeof thrown === "object" || typeof thrown === "function" ? "[not an error]" : String(thrown);
}

function textAt(error: Error, key: string): string | undefined {
  const value: unknown = Reflect.get(error, key);
  return typeof value === "string" ? value : undefined;
}

function framesOf(error: Error): string[] {
  const lines = (textAt(error, "stack") ?? "").split("\n");
  return lines
    .filter((line) => /^\s+at /.test(line))
    .slice(0, MAX_FRAMES)
    .map((line) => line.trim());
}
