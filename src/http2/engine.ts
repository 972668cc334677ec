import type { Socket } from "node:net";
import { Connection } from "./connection.ts";
import { DEFAULT_LIMITS, type EngineLimits } from "./engine-limits.ts";
import { OUTPUT_BYTES } from "./output.ts";
import { FRAME_SLAB_BYTES } from "./partial-frame.ts";
import type { UnreadTotal } from "./receive-window.ts";
import type { ServerStream } from "./server-stream.ts";
import { SlabPool } from "./slab-pool.ts";
import { newReadBuffer, READ_BYTES } from "./socket-reading.ts";
import type { StreamTotal } from "./stream-table.ts";
import { Turns } from "./turns.ts";
import type { UnaryLane } from "./unary-lane.ts";

export interface EngineOptions {
  /** Calls that are answered at once where they can be. */
  readonly lanes: readonly UnaryLane[];
  /**
   * Serves a request; must set `stream.consumer` before it returns, unless it has ended the stream. Must not throw.
   * Its body, if it has one, follows through the consumer.
   */
  readonly onStream: (stream: ServerStream) => void;
  /** Whether so many of a connection's requests wait to be served that it is not to be read on. */
  readonly isBehind?: ((socket: Socket) => boolean) | undefined;
  /** Something went wrong that no client can be blamed for. The connection it happened on is closed. */
  readonly onError: (error: unknown) => void;
  readonly limits?: Partial<EngineLimits>;
}

/** What the connections of an engine share. */
export interface EngineContext {
  readonly limits: EngineLimits;
  readonly lanes: ReadonlyMap<string, UnaryLane>;
  /** What connections write into between two flushes. One suffices for as long as the kernel takes all at once. */
  readonly slabs: SlabPool;
  /** What they keep input in that waits for its turn. */
  readonly heldSlabs: SlabPool;
  /** What they keep large frames in until they are whole. */
  readonly frameSlabs: SlabPool;
  /** What every connection reads into: it holds something for as long as that is being looked at. */
  readonly readBuffer: Buffer;
  readonly unread: UnreadTotal;
  readonly streams: StreamTotal;
  readonly turns: Turns;
  readonly onStream: (stream: ServerStream) => void;
  readonly isBehind: (socket: Socket) => boolean;
  readonly onError: (error: unknown) => void;
  /** Has the connection's output sent before the next event is looked at. */
  flushLater(connection: Connection): void;
  onConnectionClosed(connection: Connection): void;
}

/** What is open now. */
export interface EngineCounts {
  readonly connections: number;
  readonly streams: number;
  readonly unreadBytes: number;
}

const SWEEP_INTERVAL_MS = 1000;
/** Each connection with unsent output holds a buffer: with many of them, those that have one go first. */
const MAX_UNFLUSHED = 64;

/**
 * The server side of HTTP/2 (RFC 9113, RFC 7541) over sockets that others accept. It reads frames straight from what the
 * socket gives, and sends all that one chunk of input gave rise to in one write.
 */
export class Http2Engine {
  readonly #context: EngineContext;
  readonly #connections = new Set<Connection>();
  readonly #unflushed = new Set<Connection>();
  #isDraining = false;
  #sweeping: NodeJS.Timeout | undefined;

  constructor({ lanes, onStream, isBehind, onError, limits }: EngineOptions) {
    const turns = new Turns();
    this.#context = {
      limits: { ...DEFAULT_LIMITS, ...limits },
      lanes: new Map(lanes.map((lane) => [lane.path, lane])),
      slabs: new SlabPool(OUTPUT_BYTES),
      heldSlabs: new SlabPool(READ_BYTES),
      frameSlabs: new SlabPool(FRAME_SLAB_BYTES),
      readBuffer: newReadBuffer(),
      unread: { bytes: 0 },
      streams: { open: 0, refused: 0 },
      turns,
      onStream: (stream) => {
        turns.calls += 1;
        onStream(stream);
      },
      isBehind: isBehind ?? never,
      onError,
      flushLater: (connection) => this.#flushLater(connection),
      onConnectionClosed: (connection) => this.#onConnectionClosed(connection),
    };
  }

  /**
   * Serves a connection of which nothing has been read yet, or whose first bytes have been put back.
   * @returns the socket that carries it from now on
   */
  accept(socket: Socket): Socket {
    // Its events are over: nothing would ever take it out again.
    if (socket.closed) return socket;
    const connection = new Connection(socket, this.#context);
    this.#connections.add(connection);
    if (this.#isDraining) connection.drain(performance.now());
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS).unref();
    return connection.socket;
  }

  /** Tells every client to go elsewhere; connections end when their calls have. */
  drain(): void {
    this.#isDraining = true;
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.drain(nowMs);
  }

  /** Cuts every connection. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  get counts(): EngineCounts {
    const { streams, unread } = this.#context;
    return { connections: this.#connections.size, streams: streams.open, unreadBytes: unread.bytes };
  }

  /** Streams refused so far because there were too many. */
  get refusedStreams(): number {
    return this.#context.streams.refused;
  }

  #flushLater(connection: Connection): void {
    if (this.#unflushed.size === 0) process.nextTick(() => this.#flushAll());
    this.#unflushed.add(connection);
    if (this.#unflushed.size >= MAX_UNFLUSHED) this.#flushAll();
  }

  #flushAll(): void {
    for (const connection of this.#unflushed) {
      this.#unflushed.delete(connection);
      connection.flush();
    }
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) connection.sweep(nowMs);
  }

  #onConnectionClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#unflushed.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }
}

function never(): boolean {
  return false;
}
