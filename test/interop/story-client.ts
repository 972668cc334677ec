/** What happened on a stream: the name of the event as JSON spells it, and the token if it is a revocation. */
export interface StreamMessage {
  readonly cursor: string;
  readonly kind: "revocation" | "snapshotComplete" | "heartbeat" | "reset";
  readonly tokenId: string | undefined;
}

export interface Verified {
  /** As the proto spells it. */
  readonly verdict: string;
  readonly source: string;
}

/** The gateway as one kind of client sees it. Calls fail with what that client throws. */
export interface StoryClient {
  create(): Promise<{ readonly id: string; readonly secret: string }>;
  verify(token: string): Promise<Verified>;
  revoke(tokenId: string): Promise<{ readonly cursor: string }>;
  /** `cursor` empty: from a snapshot. The stream ends when `signal` is aborted. */
  watch(cursor: string, signal: AbortSignal): AsyncIterator<StreamMessage>;
  /** What this client can tell of a failed call. */
  failureOf(call: Promise<unknown>): Promise<StoryFailure>;
  close(): void;
}

export interface StoryFailure {
  readonly code: number;
  /** ErrorInfo.reason. */
  readonly reason: string | undefined;
  /** The fields of BadRequest.field_violations. */
  readonly fields: readonly string[];
}
