/** What of a connection lies outside its streams. */
export interface StreamsOwner {
  /** Something was written outside of the reading of a chunk. */
  touch(): void;
  onPingAck(): void;
  /** A stream is over. */
  onStreamClosed(): void;
}
