import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Where the JSON goes; "-" is standard output; `undefined`: nowhere. */
  readonly json: string | undefined;
  readonly quick: boolean;
  /** Shapes and sections wanted; empty: all. */
  readonly only: readonly string[];
  /** Peers wanted; empty: all. The subject is always measured. */
  readonly peers: readonly string[];
  /** How long each measurement takes. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly rounds: number;
  /** Whether one case is measured again after idling. */
  readonly idle: boolean;
  readonly help: boolean;
}

const MIN_ROUNDS = 3;

export const USAGE = `usage: npm run bench -- [options]

  --quick           the main shapes and peers with short rounds, in less than two minutes
  --only a,b        these shapes and sections alone (names below)
  --peers a,b       these peers alone, by their names in the JSON; the gateway is always measured
  --seconds n       how long each measurement takes (5; with --quick 0.5)
  --rounds n        how many rounds (3, which is the least)
  --idle            measure the gateway again after 75 s without a request
  --json [file]     the result as JSON, to the file or in place of the tables
  --help            this`;

/** @throws Error that says what is wrong with them */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: withJsonTarget(argv),
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      peers: { type: "string", default: "" },
      seconds: { type: "string" },
      rounds: { type: "string", default: `${MIN_ROUNDS}` },
      idle: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const seconds = Number(values.seconds ?? (values.quick ? 0.5 : 5));
  const rounds = Number(values.rounds);
  if (!(seconds > 0)) throw new Error("--seconds must be a number above 0");
  if (!Number.isInteger(rounds) || rounds < MIN_ROUNDS) throw new Error(`--rounds must be ${MIN_ROUNDS} or more`);
  return {
    json: values.json,
    quick: values.quick,
    only: list(values.only),
    peers: list(values.peers),
    seconds,
    // A server that has just started is still being compiled.
    warmUpSeconds: Math.min(2, Math.max(0.5, seconds)),
    rounds,
    idle: values.idle,
    help: values.help,
  };
}

function list(text: string): string[] {
  return text.split(",").filter((name) => name !== "");
}

/** `--json` without a file is `--json -`. */
function withJsonTarget(argv: readonly string[]): string[] {
  return argv.flatMap((arg, i) => {
    const next = argv[i + 1];
    return arg === "--json" && (next === undefined || next.startsWith("--")) ? ["--json=-"] : [arg];
  });
}
