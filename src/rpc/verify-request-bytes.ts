/** The compression flag and the length of a gRPC message. */
const HEAD_BYTES = 5;
const TOKEN_TAG = 0x0a;
const ID_TAG = 0x08;
const REQUEST_TAG = 0x12;

/**
 * Where the token begins, that ends where the body does, of a VerifyTokenRequest in gRPC's framing that holds nothing but a
 * token. 0 for everything else, well-formed or not. Of what characters the token is has not been looked at.
 */
export function tokenInRequest(body: Buffer, start: number, end: number): number {
  const at = start + HEAD_BYTES;
  if (end < at || body[start] !== 0 || lengthAt(body, start + 1) !== end - at) return 0;
  return tokenInMessage(body, at, end);
}

/** Reads messages of VerifyTokenStreamRequest that hold an id and a request that is nothing but a token. */
export class PlainStreamRequestReader {
  /** Where the field of the id is in what was read last, tag and all: as it stands in an answer. Empty when the id is 0. */
  idFrom = 0;
  idTo = 0;

  /** Where the token begins, as above; 0 also for a message that does not hold its id in the fewest bytes. */
  read(bytes: Buffer, start: number, end: number): number {
    this.idFrom = start;
    this.idTo = bytes[start] === ID_TAG ? endOfId(bytes, start + 1, end) : start;
    const at = this.idTo;
    if (at === 0 || end - at < 2 || bytes[at] !== REQUEST_TAG) return 0;
    const length = shortLengthAt(bytes, at + 1);
    const from = at + 1 + bytesOfShort(bytes, at + 1);
    return from + length === end ? tokenInMessage(bytes, from, end) : 0;
  }
}

/** The number in the field of an id: a tag and a varint, or nothing, which is 0. */
export function idIn(bytes: Buffer, from: number, to: number): bigint {
  let id = 0n;
  for (let at = to - 1; at > from; at -= 1) id = (id << 7n) | BigInt((bytes[at] ?? 0) & 0x7f);
  return id;
}

/** Where the varint ends; 0 unless it is that of a number above zero, in 64 bits, in the fewest bytes. */
function endOfId(bytes: Buffer, start: number, end: number): number {
  const last = Math.min(end, start + 10) - 1;
  for (let at = start; at <= last; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x80) return byte === 0 || (at === start + 9 && byte > 1) ? 0 : at + 1;
  }
  return 0;
}

/** The same for the message alone, without framing. */
export function tokenInMessage(bytes: Buffer, start: number, end: number): number {
  if (end - start < 3 || bytes[start] !== TOKEN_TAG) return 0;
  const length = shortLengthAt(bytes, start + 1);
  const from = start + 1 + bytesOfShort(bytes, start + 1);
  return length > 0 && from + length === end ? from : 0;
}

/** A varint of one byte or two; infinite when it has more: tokens as long as that are refused unread anyway. */
function shortLengthAt(bytes: Buffer, at: number): number {
  const low = bytes[at] ?? 0;
  if (low < 0x80) return low;
  const high = bytes[at + 1] ?? 0;
  return high < 0x80 ? (low & 0x7f) | (high << 7) : Number.POSITIVE_INFINITY;
}

function bytesOfShort(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) < 0x80 ? 1 : 2;
}

function lengthAt(body: Buffer, at: number): number {
  return (
    (((body[at] ?? 0) << 24) | ((body[at + 1] ?? 0) << 16) | ((body[at + 2] ?? 0) << 8) | (body[at + 3] ?? 0)) >>> 0
  );
}
