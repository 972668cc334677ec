/**
 * Writes an integer below 2^31 (RFC 7541, 5.1) to `target` at `at`: into the last `prefixBits` bits of an octet whose others
 * are those of `flags`, and as many octets after it as it takes, five at most.
 *
 * @returns where it ends.
 */
export function writeInteger(target: Uint8Array, at: number, flags: number, prefixBits: number, value: number): number {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    target[at] = flags | value;
    return at + 1;
  }
  target[at] = flags | mask;
  let end = at + 1;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) target[end++] = 0x80 | (rest & 0x7f);
  target[end++] = rest;
  return end;
}
