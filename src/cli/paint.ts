import { styleText } from "node:util";
import type { CliIo } from "./io.ts";

type Format = Parameters<typeof styleText>[0];

/** Styles text for a stream, or leaves it as it is where the stream takes no colours. */
export type Paint = (format: Format, text: string) => string;

export function paintFor(colored: boolean): Paint {
  // Node would otherwise look at the process's own standard output, which need not be where the text goes.
  const options = { validateStream: false };
  return colored ? (format, text) => styleText(format, text, options) : (_format, text) => text;
}

/** NO_COLOR (https://no-color.org) wins over FORCE_COLOR; neither given, only terminals that can are coloured. */
export function wantsColor(env: CliIo["env"], isTerminal: boolean): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") {
    return false;
  }
  const force = env.FORCE_COLOR;
  if (force !== undefined) {
    return force !== "0" && force !== "false";
  }
  return isTerminal && env.TERM !== "dumb";
}
