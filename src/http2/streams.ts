import { writePing, writeReset, writeSettingsAck } from "./control-frames.ts";
import type { EngineContext } from "./engine.ts";
import { FloodGuard } from "./flood-guard.ts";
import { MAX_INT31 } from "./frame.ts";
import type { FrameSink } from "./frame-reader.ts";
import { encodeFields } from "./hpack-encoder.ts";
import { collect, LaneDesk, type LaneRequest, MAX_COLLECTED_BYTES } from "./lane-desk.ts";
import type { Output } from "./output.ts";
import { readPeerSettings } from "./peer-settings.ts";
import { ConnectionError, ErrorCode } from "./protocol-error.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { RecentIds } from "./recent-ids.ts";
import { type ReadRequest, RequestReader } from "./request-reader.ts";
import { Sender } from "./sender.ts";
import { ServerStream, type StreamHost } from "./server-stream.ts";
import { StreamTable } from "./stream-table.ts";
import type { StreamsOwner } from "./streams-owner.ts";

const HEADERS_TOO_LARGE = encodeFields([[":status", "431"]]);

/** The streams of one connection: what its frames mean (RFC 9113, 5 and 6). */
export class Streams implements FrameSink, StreamHost {
  readonly open: StreamTable;
  readonly sender: Sender;
  /** The highest identifier that the client has used. */
  lastStreamId = 0;
  /** Requests on streams beyond this are not looked at: the client has been told to go away. */
  acceptUpTo = MAX_INT31;
  hasSettings = false;
  readonly #context: EngineContext;
  readonly #owner: StreamsOwner;
  readonly #output: Output;
  readonly #guard: FloodGuard;
  readonly #requests: RequestReader;
  readonly #receive: ReceiveWindow;
  readonly #desk: LaneDesk;
  /** Streams that were reset here: the client may not know yet. */
  #resetHere: RecentIds | undefined;
  #nowMs: number;

  constructor(context: EngineContext, owner: StreamsOwner, output: Output, nowMs: number) {
    const { limits, lanes, unread } = context;
    this.open = new StreamTable(limits, context.streams);
    this.#context = context;
    this.#owner = owner;
    this.#output = output;
    this.#nowMs = nowMs;
    this.#guard = new FloodGuard(limits, nowMs);
    this.#requests = new RequestReader(limits, lanes);
    this.#receive = new ReceiveWindow(output, limits, unread);
    this.sender = new Sender(output, this.#guard, (stream) => this.#onSent(stream));
    this.#desk = new LaneDesk(this.sender, output);
  }

  begin(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** The chunk has been read: tells the lanes what they answered meanwhile. */
  finish(): void {
    this.#desk.report(this.#nowMs);
  }

  closeAll(): void {
    for (const stream of this.open.values()) this.#close(stream);
  }

  onHeaderBlock(id: number, bytes: Buffer, start: number, end: number, endStream: boolean, selfDependent: boolean) {
    if (id <= this.lastStreamId) {
      this.#onTrailers(id, bytes, start, end, endStream);
      return;
    }
    this.lastStreamId = id;
    this.#guard.request();
    const request = this.#requests.read(bytes, start, end);
    if (id > this.acceptUpTo) return;
    if (!this.open.hasRoom()) this.#refuse(id, ErrorCode.REFUSED_STREAM);
    else if (selfDependent || request === "malformed") this.#refuse(id, ErrorCode.PROTOCOL_ERROR);
    else if (request === "too_large") this.#refuseHeaders(id, endStream);
    else this.#onRequest(id, request, endStream);
  }

  onData(id: number, bytes: Buffer, start: number, end: number, flowBytes: number, endStream: boolean): void {
    this.#receive.take(flowBytes);
    const stream = this.open.get(id);
    if (stream === undefined || stream.remoteEnded) {
      this.#receive.give(flowBytes);
      this.#onStrayFrame(id, stream);
      return;
    }
    const length = end - start;
    if (length === 0 && !endStream) this.#guard.overhead(1, this.#nowMs);
    if (endStream) stream.remoteEnded = true;
    const problem = this.#receive.takeStream(stream, flowBytes, length);
    if (problem !== ErrorCode.NO_ERROR) this.#fault(stream, problem);
    else if (stream.lane !== undefined) this.#onLaneData(stream, stream.lane, bytes, start, end);
    else this.#deliver(stream, bytes, start, end);
  }

  onReset(id: number): void {
    if (id > this.lastStreamId) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on an idle stream");
    const stream = this.open.get(id);
    if (stream !== undefined) this.#close(stream);
    if (stream === undefined || stream.localEnded) this.#guard.overhead(1, this.#nowMs);
    else this.#guard.reset(this.#nowMs - stream.openedAtMs, this.#nowMs);
  }

  onSettings(bytes: Buffer, start: number, end: number): void {
    this.hasSettings = true;
    this.#guard.overhead(10, this.#nowMs);
    const { initialWindow, shrinksTable } = readPeerSettings(bytes, start, end);
    if (shrinksTable) this.sender.shrinkTable();
    writeSettingsAck(this.#output);
    if (initialWindow !== undefined) this.sender.setInitialWindow(initialWindow, this.open.values(), this.#nowMs);
  }

  onPing(isAck: boolean, bytes: Buffer, start: number): void {
    this.#guard.overhead(1, this.#nowMs);
    if (isAck) this.#owner.onPingAck();
    else writePing(this.#output, true, bytes, start);
  }

  onPriority(id: number, selfDependent: boolean): void {
    this.#guard.overhead(1, this.#nowMs);
    const stream = this.open.get(id);
    if (selfDependent && stream !== undefined) this.#fault(stream, ErrorCode.PROTOCOL_ERROR);
    else if (selfDependent && id > this.lastStreamId) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "an idle stream, which cannot be reset, depends on itself");
    }
  }

  onIdleFrame(): void {
    this.#guard.overhead(1, this.#nowMs);
  }

  onWindowUpdate(id: number, increment: number): void {
    this.#guard.overhead(1, this.#nowMs);
    if (id === 0) {
      this.sender.credit(increment, this.#nowMs);
      return;
    }
    if (id > this.lastStreamId) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream");
    const stream = this.open.get(id);
    if (stream === undefined) return;
    if (increment === 0) this.#fault(stream, ErrorCode.PROTOCOL_ERROR);
    else if (!this.sender.creditStream(stream, increment, this.#nowMs)) {
      this.#fault(stream, ErrorCode.FLOW_CONTROL_ERROR);
    }
  }

  sendHeaders(stream: ServerStream, block: Uint8Array, endStream: boolean): void {
    this.sender.headers(stream, block, endStream);
    this.#owner.touch();
  }

  sendAtOnce(stream: ServerStream, bytes: Uint8Array): boolean {
    const isSent = this.sender.sendAtOnce(stream, bytes);
    if (isSent) this.#owner.touch();
    return isSent;
  }

  sendQueued(stream: ServerStream): void {
    this.sender.queue(stream, performance.now());
    this.#owner.touch();
  }

  sendReset(stream: ServerStream, code: ErrorCode): void {
    this.#refuse(stream.id, code);
    this.#close(stream);
  }

  creditReceived(stream: ServerStream, bytes: number): void {
    this.#receive.giveStream(stream, bytes);
    this.#owner.touch();
  }

  #onRequest(id: number, request: ReadRequest, endStream: boolean): void {
    const { head, lane, contentLength } = request;
    if (endStream && contentLength !== undefined && contentLength > 0) {
      this.#refuse(id, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const stream = new ServerStream(this, id, head, this.sender.initialWindow);
    stream.bodyBytesLeft = contentLength;
    stream.remoteEnded = endStream;
    stream.openedAtMs = this.#nowMs;
    this.open.add(stream);
    if (lane !== undefined && !endStream) {
      stream.lane = lane;
      stream.waitingSinceMs = this.#nowMs;
      return;
    }
    this.#context.onStream(stream);
    if (endStream && !stream.isClosed) stream.consumer?.onEnd();
  }

  #onLaneData(stream: ServerStream, lane: LaneRequest, bytes: Buffer, start: number, end: number): void {
    if (stream.remoteEnded && stream.collected === undefined) {
      this.#onLaneBody(stream, lane, bytes, start, end);
      return;
    }
    const body = collect(stream, bytes, start, end);
    const { collectedBytes } = stream;
    if (stream.remoteEnded) this.#onLaneBody(stream, lane, body, 0, collectedBytes);
    else if (collectedBytes > MAX_COLLECTED_BYTES) this.#serveOrdinarily(stream, body, 0, collectedBytes);
  }

  #onLaneBody(stream: ServerStream, lane: LaneRequest, body: Buffer, start: number, end: number): void {
    if (!this.#desk.answer(stream, lane, body, start, end)) {
      this.#serveOrdinarily(stream, body, start, end);
      return;
    }
    stream.lane = undefined;
    this.#receive.giveStream(stream, end - start);
    if (stream.localEnded) this.#close(stream);
  }

  #serveOrdinarily(stream: ServerStream, body: Buffer, start: number, end: number): void {
    stream.lane = undefined;
    stream.collected = undefined;
    stream.waitingSinceMs = Number.POSITIVE_INFINITY;
    this.#context.onStream(stream);
    this.#deliver(stream, body, start, end);
  }

  #deliver(stream: ServerStream, bytes: Buffer, start: number, end: number): void {
    if (end > start && !stream.isClosed) stream.consumer?.onData(bytes, start, end);
    if (stream.remoteEnded && !stream.isClosed) stream.consumer?.onEnd();
    if (stream.remoteEnded && stream.localEnded) this.#close(stream);
  }

  #onTrailers(id: number, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    const areTrailers = this.#requests.readTrailers(bytes, start, end);
    const stream = this.open.get(id);
    if (stream === undefined || stream.remoteEnded) {
      if (this.#isExpectedLate(id)) return;
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream");
    }
    if (!areTrailers || !endStream) {
      this.#fault(stream, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    stream.remoteEnded = true;
    const problem = this.#receive.takeStream(stream, 0, 0);
    if (problem !== ErrorCode.NO_ERROR) this.#fault(stream, problem);
    else if (stream.lane !== undefined) this.#onLaneData(stream, stream.lane, bytes, end, end);
    else this.#deliver(stream, bytes, end, end);
  }

  /** A frame for a stream that takes none: sent before the client knew, or wrong (RFC 9113, 5.1). */
  #onStrayFrame(id: number, stream: ServerStream | undefined): void {
    if (id > this.lastStreamId) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream");
    if (stream !== undefined) this.#fault(stream, ErrorCode.STREAM_CLOSED);
    else if (!this.#isExpectedLate(id)) this.#refuse(id, ErrorCode.STREAM_CLOSED);
  }

  #isExpectedLate(id: number): boolean {
    this.#guard.overhead(1, this.#nowMs);
    return id > this.acceptUpTo || this.#resetHere?.mayHave(id) === true;
  }

  /** The client broke the rules of one stream. To make a server reset streams costs no more than to reset them. */
  #fault(stream: ServerStream, code: ErrorCode): void {
    this.sendReset(stream, code);
    this.#guard.reset(0, this.#nowMs);
  }

  #refuse(id: number, code: ErrorCode): void {
    this.#resetHere ??= new RecentIds();
    this.#resetHere.add(id);
    writeReset(this.#output, id, code);
    this.#owner.touch();
  }

  #refuseHeaders(id: number, endStream: boolean): void {
    const head = { method: "", path: "", scheme: "", authority: "", fields: [] };
    const stream = new ServerStream(this, id, head, 0);
    stream.remoteEnded = endStream;
    stream.isUnwanted = true;
    this.open.add(stream);
    stream.respond(HEADERS_TOO_LARGE, true);
    this.#guard.tooLarge(this.#nowMs);
  }

  #onSent(stream: ServerStream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.#close(stream);
    else if (stream.isUnwanted) this.sendReset(stream, ErrorCode.NO_ERROR);
  }

  #close(stream: ServerStream): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.open.delete(stream);
    this.sender.forget(stream);
    this.#receive.giveStream(stream, stream.unreadBytes);
    stream.consumer?.onOver();
    this.#owner.onStreamClosed();
  }
}
