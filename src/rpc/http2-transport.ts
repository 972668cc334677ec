import type { Socket } from "node:net";

/** An HTTP/2 server for connections that were accepted elsewhere. It outlives none of them. */
export interface Http2Transport {
  /**
   * Takes over a connection, TLS or not, whose next bytes should be the client's preface (RFC 9113, 3.4): over TLS the
   * client has but announced HTTP/2, and may send anything or nothing. Failures of the socket are listened to already.
   */
  accept(socket: Socket): void;
  /** Refuses new streams, and closes each connection once its streams have ended. Called once; nothing is accepted after. */
  drain(): void;
  /** Requests under way. */
  readonly streamCount: number;
  /** Requests refused so far because too many were under way. */
  readonly refusedStreamCount: number;
}
