/** Up to here, adding one character after another is faster than a call out of JavaScript. */
const SHORT_OCTETS = 8;

/** The octets `octets[start, end)` as latin1, in memory of its own. */
export function latin1Text(octets: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT_OCTETS) return bufferOf(octets).toString("latin1", start, end);
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(octets[at] ?? 0);
  return text;
}

function bufferOf(octets: Uint8Array): Buffer {
  return octets instanceof Buffer ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}
