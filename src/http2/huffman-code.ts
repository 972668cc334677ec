/** The symbol beyond the octets, which no string may hold (RFC 7541, 5.2). Its code is the longest, and all ones. */
export const END_OF_STRING = 256;

/**
 * How many bits the code of each symbol has (RFC 7541, appendix B), as digits to base 36, 64 octets a line. They say it all:
 * codes are given out in ascending order to the symbols ordered by length, then by value, and leave no gap.
 */
const LENGTHS =
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca" +
  "d67777777777777777777777878djde6f56565666577666567655677777fbeds" +
  "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn" +
  "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq" +
  "u";

interface HuffmanCode {
  readonly symbol: number;
  readonly bits: number;
  readonly code: number;
}

/** All 257 codes, the greatest first: the one of `END_OF_STRING`. */
export function huffmanCodes(): HuffmanCode[] {
  const symbols = [...LENGTHS].map((digit, symbol) => ({ symbol, bits: Number.parseInt(digit, 36) }));
  symbols.sort((a, b) => b.bits - a.bits || b.symbol - a.symbol);
  const longest = symbols[0]?.bits ?? 0;
  let next = 2 ** longest;
  let nextBits = longest;
  return symbols.map(({ symbol, bits }) => {
    next = (next >>> (nextBits - bits)) - 1;
    nextBits = bits;
    return { symbol, bits, code: next };
  });
}
