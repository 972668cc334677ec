import type { Socket } from "node:net";

/** What of a connection lies outside its streams. */
export interface StreamsOwner {
  readonly socket: Socket;
  /** Something was written outside of the reading of a chunk. */
  touch(): void;
  onPingAck(): void;
  /** A stream is over. */
  onStreamClosed(): void;
}
