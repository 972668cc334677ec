/** The compression flag and the length of a gRPC message, then tag and length of the one field. */
const HEAD_BYTES = 5;
const TOKEN_TAG = 0x0a;
/** Of two bytes of length; longer tokens are refused unread anyway. */
const MAX_TOKEN_BYTES = 0x3fff;

/**
 * The token of a VerifyTokenRequest in gRPC's framing that holds nothing but a token of visible ASCII. `undefined` for
 * everything else, well-formed or not.
 */
export function readPlainRequest(body: Uint8Array, start: number, end: number): string | undefined {
  const at = start + HEAD_BYTES;
  if (end - at < 3 || body[start] !== 0 || body[at] !== TOKEN_TAG) return undefined;
  if (lengthAt(body, start + 1) !== end - at) return undefined;
  const low = body[at + 1] ?? 0;
  const isShort = low < 0x80;
  const from = at + (isShort ? 2 : 3);
  const length = isShort ? low : (low & 0x7f) | ((body[at + 2] ?? 0) << 7);
  if (length === 0 || length > MAX_TOKEN_BYTES || from + length !== end) return undefined;
  for (let index = from; index < end; index += 1) {
    const byte = body[index] ?? 0;
    if (byte < 0x21 || byte > 0x7e) return undefined;
  }
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return bytes.toString("latin1", from, end);
}

function lengthAt(body: Uint8Array, at: number): number {
  return (
    (((body[at] ?? 0) << 24) | ((body[at + 1] ?? 0) << 16) | ((body[at + 2] ?? 0) << 8) | (body[at + 3] ?? 0)) >>> 0
  );
}
