/** A header block that is not HPACK (RFC 7541): the connection must end with COMPRESSION_ERROR, for the table is out of step. */
export class HpackError extends Error {
  override readonly name = "HpackError";
}
