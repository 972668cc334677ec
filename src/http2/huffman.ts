import { HpackError } from "./hpack-error.ts";
import { latin1Text } from "./hpack-text.ts";
import { END_OF_STRING, huffmanCodes } from "./huffman-code.ts";

/** A tree of 257 leaves has 256 inner nodes: the states, each the bits read since the last whole symbol. */
const STATES = 256;
/** The states on the way to `END_OF_STRING` are numbered by the ones read, so this is also the last state a string may end in. */
const MAX_PADDING_BITS = 7;

const FORBIDDEN = -1;
/**
 * What each octet does in each state, at `state << 8 | octet`: the next state in bits 0–7, how many symbols end in the octet
 * in bits 8–9 (two at most, since a code has five bits or more), the symbols in bits 10–17 and 18–25. Or `FORBIDDEN`.
 */
const AUTOMATON = buildAutomaton();

/** Shared by all connections: what it holds is read in the same call that wrote it. */
const SCRATCH = Buffer.allocUnsafeSlow(4_096);

/**
 * How many octets the Huffman string `block[start, end)` stands for.
 *
 * @throws HpackError when it is none: it holds the end of string, or does not end in up to seven ones of padding.
 */
export function huffmanOctets(block: Uint8Array, start: number, end: number): number {
  let state = 0;
  let octets = 0;
  for (let at = start; at < end; at++) {
    const step = AUTOMATON[(state << 8) | (block[at] ?? 0)] ?? FORBIDDEN;
    if (step === FORBIDDEN) throw new HpackError("a Huffman string holds the end of string");
    state = step & 0xff;
    octets += (step >> 8) & 3;
  }
  if (state > MAX_PADDING_BITS) throw new HpackError("a Huffman string ends in neither a symbol nor its padding");
  return octets;
}

/** The text of a Huffman string that `huffmanOctets` found to stand for so many octets. */
export function huffmanText(block: Uint8Array, start: number, end: number, octets: number): string {
  const target = octets <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(octets);
  let state = 0;
  let written = 0;
  for (let at = start; at < end; at++) {
    const step = AUTOMATON[(state << 8) | (block[at] ?? 0)] ?? FORBIDDEN;
    state = step & 0xff;
    const symbols = (step >> 8) & 3;
    if (symbols === 0) continue;
    target[written++] = step >> 10;
    if (symbols === 2) target[written++] = step >> 18;
  }
  return latin1Text(target, 0, octets);
}

function buildAutomaton(): Int32Array {
  const tree = buildTree();
  const automaton = new Int32Array(STATES << 8);
  for (let at = 0; at < automaton.length; at++) automaton[at] = stepOf(tree, at >> 8, at & 0xff);
  return automaton;
}

/** At `node << 1 | bit` the node that follows, or the complement of the symbol that ends there. */
function buildTree(): Int16Array {
  const tree = new Int16Array(STATES << 1);
  let nodes = 1;
  for (const { symbol, bits, code } of huffmanCodes()) {
    let node = 0;
    for (let shift = bits - 1; shift > 0; shift--) {
      const branch = (node << 1) | ((code >>> shift) & 1);
      if (tree[branch] === 0) tree[branch] = nodes++;
      node = tree[branch] ?? 0;
    }
    tree[(node << 1) | (code & 1)] = ~symbol;
  }
  return tree;
}

function stepOf(tree: Int16Array, state: number, octet: number): number {
  let node = state;
  let symbols = 0;
  let found = 0;
  for (let shift = 7; shift >= 0; shift--) {
    const follower = tree[(node << 1) | ((octet >> shift) & 1)] ?? 0;
    if (follower >= 0) {
      node = follower;
      continue;
    }
    if (~follower === END_OF_STRING) return FORBIDDEN;
    found |= ~follower << (10 + 8 * symbols++);
    node = 0;
  }
  return node | (symbols << 8) | found;
}
