import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { writeGoAway, writePing, writePreface } from "./control-frames.ts";
import type { EngineContext } from "./engine.ts";
import { MAX_INT31 } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { HeldInput } from "./held-input.ts";
import { Output } from "./output.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";
import type { ServerStream } from "./server-stream.ts";
import { readSocket } from "./socket-reading.ts";
import { Streams } from "./streams.ts";
import type { StreamsOwner } from "./streams-owner.ts";
import { Run } from "./turns.ts";

/** What a drain's PING carries, to know its answer by: any eight bytes. */
const DRAIN_PING = Buffer.from("draining", "latin1");
/** How long a client has to close its end after ours, so that what it still sends does not meet a reset. */
const LINGER_MS = 1000;
/** What is read and dropped of a client that goes on sending after it was told to stop, before it is cut. */
const MAX_DROPPED_BYTES = 1024 * 1024;
/** So much at once is read in turns. TLS gives no more at once. */
const LARGE_BYTES = 16 * 1024;
/** What of it is read in one turn: fifty small messages take milliseconds when their code has not been compiled yet. */
const PART_BYTES = 4 * 1024;
/** Calls past the lanes that are taken in one turn. */
const TURN_CALLS = 4;

/** One client's connection: its socket, its life from preface to end, and the streams on it. */
export class Connection implements StreamsOwner {
  /** What carries it. */
  readonly socket: Socket;
  readonly #context: EngineContext;
  readonly #output: Output;
  readonly #reader: FrameReader;
  readonly #streams: Streams;
  readonly #openedAtMs = performance.now();
  #isReading = false;
  readonly #run: Run;
  #callsBefore = 0;
  #isWaitingForTurn = false;
  /** What has come and is read from the next turn on. */
  readonly #held: HeldInput;
  #droppedBytes = 0;
  #isPaused = false;
  /** Nothing is read or written any more; what was written is on its way out. */
  #isOver = false;
  #hasFailed = false;
  #overAtMs = 0;
  #drain: "no" | "announced" | "final" = "no";
  #drainBeganMs = 0;
  #midwaySinceMs = Number.POSITIVE_INFINITY;
  #completions = 0;
  #activeAtMs = this.#openedAtMs;
  /** What the kernel had taken of the output, and since when no more. */
  #takenBytes = 0;
  #takenAtMs = this.#openedAtMs;

  constructor(accepted: Socket, context: EngineContext) {
    this.#context = context;
    this.socket = readSocket(accepted, context.readBuffer, (bytes, length) => this.#onChunk(bytes, length));
    const { socket } = this;
    this.#output = new Output(socket, context.slabs);
    this.#run = new Run(socket instanceof TLSSocket ? "tls" : "clear");
    this.#held = new HeldInput(context.heldSlabs);
    this.#streams = new Streams(context, this, this.#output, this.#openedAtMs);
    this.#reader = new FrameReader(this.#streams, context.limits, context.frameSlabs, () => this.#isSated);
    socket.on("drain", this.#onDrain);
    // A client that has said its last word cannot open windows any more.
    socket.once("end", () => {
      this.#end();
      socket.destroySoon();
    });
    socket.once("close", () => this.#onClose());
    socket.on("error", () => socket.destroy());
    writePreface(this.#output, context.limits);
    this.touch();
  }

  get openStreams(): Iterable<ServerStream> {
    return this.#streams.open.values();
  }

  get streamCount(): number {
    return this.#streams.open.size;
  }

  /** Ends the connection once the calls under way have ended: in two steps, so that none under way to us is lost. */
  drain(nowMs: number): void {
    if (this.#drain !== "no" || this.#isOver) return;
    this.#drain = "announced";
    this.#drainBeganMs = nowMs;
    writeGoAway(this.#output, MAX_INT31, ErrorCode.NO_ERROR, "");
    writePing(this.#output, false, DRAIN_PING, 0);
    this.touch();
  }

  touch(): void {
    if (!this.#isReading) this.#context.flushLater(this);
  }

  flush(): void {
    this.#output.flush();
    const { writableLength } = this.socket;
    if (writableLength <= this.#context.limits.maxUnsentBytes || this.#isPaused || this.#isOver) return;
    this.#isPaused = true;
    this.socket.pause();
  }

  onPingAck(): void {
    if (this.#drain === "announced") this.#finishDrain();
  }

  onStreamClosed(): void {
    if (this.#drain === "final") this.#endIfQuiet();
  }

  /** Looks for what has taken too long. Called about once a second. */
  sweep(nowMs: number): void {
    const { limits } = this.#context;
    const isStalled = this.#isStalled(nowMs);
    if (this.#isOver) {
      if (isStalled || (this.socket.writableLength === 0 && nowMs - this.#overAtMs > LINGER_MS)) this.destroy();
    } else if (!this.#streams.hasSettings && nowMs - this.#openedAtMs > limits.settingsTimeoutMs) {
      this.#fail(new ConnectionError(ErrorCode.SETTINGS_TIMEOUT, "no SETTINGS in time"));
    } else if (!this.#isPaused && nowMs - this.#midwaySinceMs > limits.requestTimeoutMs) {
      this.#fail(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "a frame did not arrive whole in time"));
    } else if (isStalled) this.destroy();
    else {
      this.#sweepStreams(nowMs);
      if (this.#drain === "announced" && nowMs - this.#drainBeganMs > limits.drainTimeoutMs) this.#finishDrain();
      if (this.streamCount > 0) this.#activeAtMs = nowMs;
      else if (nowMs - this.#activeAtMs > limits.idleTimeoutMs) this.drain(nowMs);
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onChunk(bytes: Buffer, length: number): void {
    if (this.#isOver) {
      this.#droppedBytes += length;
      if (this.#droppedBytes > MAX_DROPPED_BYTES) this.destroy();
      return;
    }
    const read = length < LARGE_BYTES ? this.#read(bytes, length) : 0;
    if (read < length && !this.#isOver) {
      this.#held.hold(bytes, read, length);
      this.#waitForTurn();
    } else this.#pace(length);
  }

  /** Returns how many bytes were read: fewer once that is enough for now. */
  #read(bytes: Buffer, length: number): number {
    const nowMs = performance.now();
    this.#activeAtMs = nowMs;
    this.#isReading = true;
    this.#callsBefore = this.#context.turns.calls;
    this.#streams.begin(nowMs);
    let read = length;
    try {
      read = this.#reader.read(bytes, length);
    } catch (error) {
      this.#fail(error);
    }
    this.#isReading = false;
    this.#streams.finish();
    this.#noteMidway(nowMs);
    this.flush();
    return read;
  }

  get #isSated(): boolean {
    return this.#context.turns.calls - this.#callsBefore >= TURN_CALLS;
  }

  /** Looked at only where it can have changed: it costs more than to read a call that is answered at once. */
  get #isBehind(): boolean {
    return this.#context.turns.calls !== this.#callsBefore && this.#context.isBehind(this.socket);
  }

  #pace(bytes: number): void {
    const isDue = this.#run.isTooLong(bytes, this.#activeAtMs) && !this.#isPaused;
    if (!this.#isOver && (isDue || this.#isBehind)) this.#waitForTurn();
  }

  #waitForTurn(): void {
    this.#isWaitingForTurn = true;
    this.socket.pause();
    this.#context.turns.wait(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    if (!this.#isOver && this.#context.isBehind(this.socket)) {
      this.#context.turns.wait(this.#onTurn);
      return;
    }
    this.#isWaitingForTurn = false;
    this.#readHeld();
    if (!this.#isPaused && !this.#isWaitingForTurn) this.socket.resume();
  };

  #readHeld(): void {
    const held = this.#held.next(PART_BYTES);
    if (held === undefined || this.#isOver) return;
    const read = this.#read(held, held.length);
    if (this.#isOver) return;
    this.#held.skip(read);
    if (this.#held.length > 0) this.#waitForTurn();
    else this.#pace(held.length);
  }

  readonly #onDrain = (): void => {
    if (this.#isOver) return;
    const nowMs = performance.now();
    this.#streams.sender.pump(nowMs);
    this.flush();
    if (!this.#isPaused || this.#output.unsentBytes > this.#context.limits.maxUnsentBytes) return;
    this.#isPaused = false;
    // The client is not to blame for what was not read meanwhile.
    if (this.#reader.isMidway) this.#midwaySinceMs = nowMs;
    if (!this.#isWaitingForTurn) this.socket.resume();
  };

  #noteMidway(nowMs: number): void {
    const { isMidway, completions } = this.#reader;
    if (!isMidway) this.#midwaySinceMs = Number.POSITIVE_INFINITY;
    else if (this.#midwaySinceMs === Number.POSITIVE_INFINITY || completions !== this.#completions) {
      this.#midwaySinceMs = nowMs;
    }
    this.#completions = completions;
  }

  #sweepStreams(nowMs: number): void {
    const { requestTimeoutMs, stallTimeoutMs } = this.#context.limits;
    for (const stream of this.openStreams) {
      const waitedMs = nowMs - stream.waitingSinceMs;
      if (stream.lane === undefined) {
        if (waitedMs > stallTimeoutMs) stream.reset(ErrorCode.ENHANCE_YOUR_CALM);
      } else if (waitedMs > requestTimeoutMs && !this.#isPaused) stream.reset(ErrorCode.CANCEL);
    }
  }

  /** Whether the kernel has taken none of the output for too long. */
  #isStalled(nowMs: number): boolean {
    const { writableLength } = this.socket;
    const takenBytes = this.#output.writtenBytes - writableLength;
    if (writableLength === 0 || takenBytes !== this.#takenBytes) this.#takenAtMs = nowMs;
    this.#takenBytes = takenBytes;
    return nowMs - this.#takenAtMs > (this.#hasFailed ? LINGER_MS : this.#context.limits.stallTimeoutMs);
  }

  /** From now on requests are not looked at: whoever sent them knows that it can send them elsewhere. */
  #finishDrain(): void {
    this.#drain = "final";
    const { lastStreamId } = this.#streams;
    this.#streams.acceptUpTo = lastStreamId;
    writeGoAway(this.#output, lastStreamId, ErrorCode.NO_ERROR, "");
    this.touch();
    this.#endIfQuiet();
  }

  #endIfQuiet(): void {
    if (this.streamCount === 0) this.#end();
  }

  #fail(error: unknown): void {
    const { code, message } =
      error instanceof ConnectionError ? error : new ConnectionError(ErrorCode.INTERNAL_ERROR, "internal error");
    if (!(error instanceof ConnectionError)) this.#context.onError(error);
    // What an earlier GOAWAY said was looked at can only become less (RFC 9113, 6.8).
    const { lastStreamId, acceptUpTo } = this.#streams;
    writeGoAway(this.#output, Math.min(lastStreamId, acceptUpTo), code, message);
    this.#hasFailed = true;
    this.#end();
  }

  /** What is written still leaves; the sweep cuts a client that does not read it, or does not close its end. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#overAtMs = performance.now();
    this.#output.flush();
    this.socket.end();
    this.#streams.closeAll();
    this.#held.drop();
    // Whatever else the client sends is dropped, so that it does not meet a reset before it has read what was sent.
    this.socket.resume();
  }

  #onClose(): void {
    this.#isOver = true;
    this.#streams.closeAll();
    this.#held.drop();
    this.#reader.drop();
    this.#output.flush();
    this.#context.onConnectionClosed(this);
  }
}
