/** Bytes that a client sends after the preface, chunk by chunk, in hexadecimal. Each has shown a defect once. */
export interface Seed {
  readonly what: string;
  readonly chunks: readonly string[];
  /** How the connection ends: the code of the GOAWAY, or `undefined` when it lives on. */
  readonly goAway: number | undefined;
  /** The code of the RST_STREAM of each stream that the server has said something about. */
  readonly resets: Readonly<Record<number, number | undefined>>;
}

const SETTINGS = "000000040000000000";
/** HEADERS of a GET of `/` that ends its stream, the stream's four bytes to follow; and the block of it. */
const GET = "0000030105";
const BLOCK = "828684";

export const SEEDS: readonly Seed[] = [
  {
    what: "DATA on an even stream below one that is open",
    chunks: [`${SETTINGS}${GET}00000007${BLOCK}0000010000000000060a`],
    goAway: 1,
    resets: { 7: undefined },
  },
  {
    what: "RST_STREAM on an even stream below one that is open",
    chunks: [`${SETTINGS}${GET}00000007${BLOCK}00000403000000000600000008`],
    goAway: 1,
    resets: { 7: undefined },
  },
  {
    what: "a path that does not begin with a slash",
    // :method GET, :scheme http, :path as a literal.
    chunks: [`${SETTINGS}000007010500000001828604032e6162`],
    goAway: undefined,
    resets: { 1: 1 },
  },
];
