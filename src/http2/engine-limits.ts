/** Bounds of the engine. Each is per connection unless it says otherwise. */
export interface EngineLimits {
  /** Announced as SETTINGS_MAX_CONCURRENT_STREAMS; streams beyond it are refused. */
  readonly maxConcurrentStreams: number;
  /** Streams of all connections together; beyond it those are refused whose connection has more than a few. */
  readonly maxStreams: number;
  /** The largest header section, by the measure of RFC 9113, 6.5.2; a larger one is answered 431. */
  readonly maxHeaderListBytes: number;
  /** The largest header block, compressed, and the most CONTINUATION frames it may come in. */
  readonly maxHeaderBlockBytes: number;
  readonly maxContinuations: number;
  /** What all streams of a connection together may have sent that nobody has read yet; 65,535 at least. */
  readonly receiveWindowBytes: number;
  /** The same for all connections together; beyond it each is left one frame. */
  readonly maxUnreadBytes: number;
  /** Unsent output beyond which the connection is not read from; 256 KiB at least, so that bodies cannot bring it there. */
  readonly maxUnsentBytes: number;
  /**
   * Streams that the client may reset, or make us reset: at once, and per second after that. One that it waited for a
   * while counts for a tenth, and each request earns a tenth: deadlines end calls, and a busy client has many.
   */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /**
   * Frames that ask for nothing (PING, SETTINGS, empty DATA, WINDOW_UPDATE, PRIORITY, unknown): at once, and per second
   * beyond those that each request and each frame of an answer earns.
   */
  readonly overheadBurst: number;
  readonly overheadPerSecond: number;
  /** From accepting to the client's SETTINGS. */
  readonly settingsTimeoutMs: number;
  /** From the first frame of a header block, or of a request that is answered at once, to its last. */
  readonly requestTimeoutMs: number;
  /** How long output may wait without any progress: the peer's windows or its socket do not open. A write is one step. */
  readonly stallTimeoutMs: number;
  /** How long a connection without streams is kept. */
  readonly idleTimeoutMs: number;
  /** Between the two GOAWAYs of a drain, at most. */
  readonly drainTimeoutMs: number;
}

export const DEFAULT_LIMITS: EngineLimits = {
  // One process behind one connection may well have hundreds of calls open; beyond it calls wait at the client.
  maxConcurrentStreams: 1000,
  // About a kibibyte each while they wait for their client.
  maxStreams: 20_000,
  // gRPC's own servers allow 8 KiB of metadata; twice that leaves room for tracing headers and a bearer JWT.
  maxHeaderListBytes: 16 * 1024,
  maxHeaderBlockBytes: 32 * 1024,
  maxContinuations: 16,
  receiveWindowBytes: 4 * 1024 * 1024,
  maxUnreadBytes: 256 * 1024 * 1024,
  // The kernel holds megabytes more. Clients that never read cost this much each.
  maxUnsentBytes: 256 * 1024,
  resetBurst: 1000,
  resetsPerSecond: 100,
  // grpc-go pings with the data it receives to measure the link; clients credit windows about once per answer.
  overheadBurst: 10_000,
  overheadPerSecond: 1000,
  settingsTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  stallTimeoutMs: 60_000,
  idleTimeoutMs: 10 * 60_000,
  drainTimeoutMs: 1000,
};
