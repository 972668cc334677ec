/** One header field. */
export interface HeaderField {
  readonly name: string;
  /** Octets as latin1, the way Node gives them. */
  readonly value: string;
  /** Octets of name and value plus 32: what the field counts for in a table (RFC 7541, 4.1) and in a list's size. */
  readonly size: number;
}
