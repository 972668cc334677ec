import type { Socket } from "node:net";
import { DEFAULT_WINDOW_BYTES } from "./frame.ts";
import type { LaneRequest } from "./lane-desk.ts";
import { ErrorCode } from "./protocol-error.ts";
import type { RequestHead } from "./request-head.ts";

/** Who takes what comes on a stream. Each may use the stream, or others; none may throw. */
export interface StreamConsumer {
  /** A part of the body. The range is valid during the call only; `stream.consumed` gives the room for it back. */
  onData(bytes: Buffer, start: number, end: number): void;
  /** The body is whole. */
  onEnd(): void;
  /** What was written has left: there is room again. */
  onWritable(): void;
  /** Nothing comes and nothing leaves any more. Called once, perhaps from within `end` or `reset`. */
  onOver(): void;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  /** The connection. */
  readonly owner: { readonly socket: Socket };
  sendHeaders(stream: ServerStream, block: Uint8Array, endStream: boolean): void;
  /** Sends bytes before anything else of the stream, if the windows and the socket have room for all of them now. */
  sendAtOnce(stream: ServerStream, bytes: Uint8Array): boolean;
  /** There is something to send in `stream.outgoing`, or its end. */
  sendQueued(stream: ServerStream): void;
  sendReset(stream: ServerStream, code: ErrorCode): void;
  creditReceived(stream: ServerStream, bytes: number): void;
}

/** Bytes that may wait for the peer before `write` asks to pause, where its caller does not say. */
const HIGH_WATER_BYTES = 64 * 1024;

/** One request and the place for its answer. */
export class ServerStream {
  readonly id: number;
  readonly head: RequestHead;
  readonly #host: StreamHost;
  consumer: StreamConsumer | undefined;
  /** Nothing comes any more. */
  remoteEnded = false;
  /** The end of the answer has been asked for, perhaps not sent. */
  ending = false;
  /** The end of the answer has been sent. */
  localEnded = false;
  isClosed = false;

  // The rest is the connection's.
  /** What the peer takes; may be negative after its SETTINGS. */
  sendWindow: number;
  /** What the peer may send before it is given more. */
  receiveWindow = DEFAULT_WINDOW_BYTES;
  /** Received and not consumed. */
  unreadBytes = 0;
  /** Consumed and not given back yet. */
  uncredited = 0;
  /** Of the body that `content-length` announced; `undefined` when it did not. */
  bodyBytesLeft: number | undefined;
  /** How the call may be answered at once, until its body is whole; and the body so far. */
  lane: LaneRequest | undefined;
  collected: Buffer | undefined;
  collectedBytes = 0;
  outgoing: Uint8Array[] = NOTHING;
  outgoingBytes = 0;
  trailers: Uint8Array | undefined;
  /** What the client still sends is not wanted. */
  isUnwanted = false;
  wasFull = false;
  openedAtMs = 0;
  /** Since when the client keeps us waiting, for the body of a lane's call or for room to send; else infinity. */
  waitingSinceMs = Number.POSITIVE_INFINITY;

  constructor(host: StreamHost, id: number, head: RequestHead, sendWindow: number) {
    this.#host = host;
    this.id = id;
    this.head = head;
    this.sendWindow = sendWindow;
  }

  /** What carries the connection. For telling whose it is, not for use. */
  get socket(): Socket {
    return this.#host.owner.socket;
  }

  /** Sends the head of the answer, an HPACK block without use of the dynamic table. */
  respond(block: Uint8Array, endStream: boolean): void {
    if (this.isClosed || this.ending) return;
    if (endStream) this.ending = true;
    this.#host.sendHeaders(this, block, endStream);
  }

  /**
   * Sends a part of the body, which must not change any more.
   * @param highWaterBytes how much may wait for the peer before the answer is false
   * @returns false when enough is waiting already: `onWritable` tells when nothing is
   */
  write(bytes: Uint8Array, highWaterBytes = HIGH_WATER_BYTES): boolean {
    if (this.isClosed || this.ending) return true;
    if (bytes.length > 0) {
      if (this.outgoingBytes === 0 && this.#host.sendAtOnce(this, bytes)) return true;
      if (this.outgoing === NOTHING) this.outgoing = [];
      this.outgoing.push(bytes);
      this.outgoingBytes += bytes.length;
      this.#host.sendQueued(this);
    }
    if (this.outgoingBytes <= highWaterBytes) return true;
    this.wasFull = true;
    return false;
  }

  /** Ends the answer once everything written has left, with trailers as an HPACK block or without. */
  end(trailers: Uint8Array | undefined): void {
    if (this.isClosed || this.ending) return;
    this.ending = true;
    this.trailers = trailers;
    this.#host.sendQueued(this);
  }

  /** Cuts the stream: what has not left is dropped. */
  reset(code: ErrorCode): void {
    if (!this.isClosed) this.#host.sendReset(this, code);
  }

  /** Says that so many bytes of the body are done with, so that as many can follow. */
  consumed(bytes: number): void {
    if (bytes > 0) this.#host.creditReceived(this, bytes);
  }

  /** Says that nobody wants the rest of the request: once it has its answer, the client is told so (RFC 9113, 8.1). */
  discardRest(): void {
    if (this.remoteEnded) return;
    this.isUnwanted = true;
    if (this.localEnded) this.reset(ErrorCode.NO_ERROR);
  }
}

/** Shared by all streams that have nothing to send: most never have. */
export const NOTHING: Uint8Array[] = [];
