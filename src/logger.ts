import { type Logger as PinoLogger, pino } from "pino";
import { describeError } from "./logger/describe-error.ts";
import { prettyLine } from "./logger/pretty.ts";
import { readRecord } from "./logger/record.ts";

export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** `json`: one object a line. `pretty`: for people at a terminal. */
  readonly format: "json" | "pretty";
  /** Where lines go; standard error when not given. */
  readonly stream?: { write(line: string): unknown } | undefined;
  /** Whether `pretty` colours levels; not when not given. */
  readonly color?: boolean | undefined;
  /** Fields of every line. */
  readonly fields?: Readonly<Record<string, string | number>> | undefined;
}

/**
 * Every line is scrubbed of what looks like a credential before it leaves. Errors, under `err` or any other top-level
 * field, are logged by name, message, reason and cause chain.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { level, format, stream = process.stderr, color = false, fields } = options;
  const render = (line: string) => {
    const record = readRecord(line);
    return format === "pretty" ? prettyLine(record, color) : `${JSON.stringify(record)}\n`;
  };
  return pino(
    {
      level,
      base: fields ?? null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: describeErrors },
      // The formatter has described them already.
      serializers: { err: (described: unknown) => described },
    },
    { write: (line) => stream.write(render(line)) },
  );
}

/** The same log, whose lines have more fields, as they are when a line is written. */
export function withFields(log: Logger, fields: () => Readonly<Record<string, string>>): Logger {
  return log.child({}, { formatters: { log: (line) => ({ ...fields(), ...describeErrors(line) }) } });
}

function describeErrors(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof Error ? describeError(value) : value,
    ]),
  );
}
