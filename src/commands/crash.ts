import { createLogger, type Logger } from "../logger.ts";

/** What the process ends with after an error that nobody caught (EX_SOFTWARE). */
export const CRASH_EXIT_CODE = 70;

/** What closing may take besides the grace for calls under way, in milliseconds. */
const CLOSE_MS = 10_000;

interface DrainTimes {
  readonly drainDelayMs: number;
  readonly drainGraceMs: number;
}

interface CrashOptions {
  readonly stderr: { write(text: string): unknown };
  /** Lets the command end as a signal does. */
  readonly stop: () => void;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/** What an error that nobody caught leads to: a line in the log, an orderly end, and an exit code that tells of it. */
export interface Crash {
  readonly happened: boolean;
  /** Lines go to this log from now on, and calls under way have so long to finish. */
  drainThrough(log: Logger, times: DrainTimes): void;
  report(error: unknown): void;
}

/**
 * After an error that nobody caught the state of the process is in doubt, and so is every answer that it might still give; but
 * what was in doubt for one call is most likely sound for all others, and they are let finish, as on SIGTERM. Not for ever:
 * whatever hangs is cut after a limit. Errors after the first are logged and change nothing.
 */
export function createCrash({ stderr, stop, exit }: CrashOptions): Crash {
  let log = createLogger({ level: "fatal", format: "json", stream: stderr });
  let limitMs = CLOSE_MS;
  let happened = false;
  return {
    get happened() {
      return happened;
    },
    drainThrough(used, { drainDelayMs, drainGraceMs }) {
      log = used;
      limitMs = drainDelayMs + drainGraceMs + CLOSE_MS;
    },
    report(error) {
      log.fatal({ err: error instanceof Error ? error : new Error(String(error)) }, "an error was not caught");
      if (happened) return;
      happened = true;
      setTimeout(() => exit(CRASH_EXIT_CODE), limitMs).unref();
      stop();
    },
  };
}
