import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import {
  type VerifyTokenStreamRequest,
  VerifyTokenStreamRequestSchema,
  VerifyTokenStreamResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { encodeFields } from "../http2/hpack-encoder.ts";
import type { ServerStream, StreamConsumer } from "../http2/server-stream.ts";
import { canceled, type GatewayError } from "../token/errors.ts";
import type { KeptAnswer, Verification } from "../token/verification.ts";
import { visibleText } from "../token/visible-text.ts";
import type { CallReporter } from "./call-report.ts";
import { connectErrorFrom } from "./connect-error.ts";
import { rateLimited } from "./guard.ts";
import { KeptBytes } from "./kept-bytes.ts";
import { incompleteMessage, MessageSplitter } from "./message-splitter.ts";
import { envelope, OK_TRAILERS } from "./plain-grpc.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import type { StreamEntry } from "./stream-entry.ts";
import { type AnswerState, decisionBytes } from "./verify-answer-bytes.ts";
import { type Decided, Decisions, wireAnswer } from "./verify-decisions.ts";
import { idIn, type PlainStreamRequestReader } from "./verify-request-bytes.ts";
import { MAX_ID_BYTES, type StreamAnswers, writeId } from "./verify-stream-answers.ts";

/** What the streams of one lane share. */
export interface StreamKit {
  readonly dependencies: RpcDependencies;
  readonly plain: PlainStreamRequestReader;
  readonly state: AnswerState;
  readonly answers: StreamAnswers;
  /** Larger verdicts are left to the code that weighs them in every encoding. */
  readonly maxVerdictBytes: number;
  readonly onOver: (stream: VerifyStream) => void;
}

/**
 * One VerifyTokenStream. What memory decides is answered while the chunk that asks is being read, in one write; the rest
 * waits among the decisions. While the peer does not read, everything waits there, undecided or not yet encoded, until
 * there are as many as may be: then the rest of the input waits too, and the client's window closes.
 */
export class VerifyStream implements StreamConsumer {
  readonly #kit: StreamKit;
  readonly #stream: ServerStream;
  readonly #reporter: CallReporter;
  readonly #entry: StreamEntry;
  readonly #left = new AbortController();
  readonly #decisions: Decisions;
  readonly #messages: MessageSplitter;
  /** Input that has not been looked at, nor given back to the client's window. */
  readonly #held = new KeptBytes();
  /** Where the field of an id is written before it goes into an answer. Not shared: a write may have others served. */
  readonly #id = new Uint8Array(MAX_ID_BYTES);
  /** The head of the answer until something follows it. */
  #headers: Uint8Array | undefined;
  #hasRoom = true;
  #isRunning = false;
  #isScheduled = false;
  /** What ends the stream once all that is decided has been answered. */
  #ending: GatewayError | undefined;
  #isOver = false;

  constructor(kit: StreamKit, stream: ServerStream, headers: Uint8Array, reporter: CallReporter, entry: StreamEntry) {
    const { dependencies } = kit;
    const { caller } = entry;
    this.#entry = entry;
    this.#kit = kit;
    this.#stream = stream;
    this.#headers = headers;
    this.#reporter = reporter;
    const onDecided = () => this.#schedule();
    const { verifier } = dependencies;
    this.#decisions = new Decisions({ verifier, caller, signal: this.#left.signal, onDecided });
    this.#messages = new MessageSplitter(dependencies.maxMessageBytes, (source, from, to) => {
      this.#onMessage(source, from, to);
    });
    stream.consumer = this;
  }

  /** Answers what is decided, then ends. */
  finish(ending: GatewayError): void {
    this.#ending ??= ending;
    this.#stream.consumed(this.#held.length);
    this.#held.skip(this.#held.length);
    this.#run();
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver || this.#ending !== undefined) this.#stream.consumed(end - start);
    else if (this.#held.length > 0 || this.#decisions.isFull) this.#held.add(bytes, start, end);
    else this.#run(bytes, start, end);
  }

  onEnd(): void {
    this.#run();
  }

  onWritable(): void {
    this.#hasRoom = true;
    this.#run();
  }

  onOver(): void {
    this.#over(canceled());
  }

  /** Many decisions that come together are answered together. */
  #schedule(): void {
    if (this.#isRunning || this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    process.nextTick(this.#onScheduled);
  }

  readonly #onScheduled = (): void => {
    this.#isScheduled = false;
    this.#run();
  };

  /** Does all that can be done now. */
  #run(bytes?: Buffer, start = 0, end = 0): void {
    if (this.#isRunning || this.#isOver) return;
    this.#isRunning = true;
    try {
      if (bytes !== undefined) this.#readChunk(bytes, start, end);
      do {
        this.#writeDecided();
        this.#readHeld();
        this.#flush();
      } while (this.#hasRoom && this.#decisions.hasDecided);
      this.#conclude();
    } catch (thrown) {
      this.#flush();
      this.#end(thrown);
    }
    this.#isRunning = false;
  }

  #readChunk(bytes: Buffer, start: number, end: number): void {
    const stop = this.#read(bytes, start, end);
    this.#stream.consumed(stop - start);
    if (stop < end) this.#held.add(bytes, stop, end);
  }

  #readHeld(): void {
    const { buffer, from, to } = this.#held;
    if (from === to) return;
    const stop = this.#read(buffer, from, to);
    this.#stream.consumed(stop - from);
    this.#held.skip(stop - from);
  }

  /** Returns where it stopped: nothing is read while nothing may be asked. */
  #read(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && !this.#decisions.isFull) at = this.#messages.read(bytes, at, end);
    return at;
  }

  #onMessage(source: Buffer, from: number, to: number): void {
    const { plain, dependencies } = this.#kit;
    const tokenAt = plain.read(source, from, to);
    if (tokenAt === 0) {
      this.#decisions.push(parse(source, from, to));
      return;
    }
    const { idFrom, idTo } = plain;
    const { caller } = this.#entry;
    if (!caller.allowance.take(1)) {
      this.#decisions.refuse(idIn(source, idFrom, idTo), rateLimited(caller));
      return;
    }
    if (this.#hasRoom) {
      const verification = dependencies.verifier.recallBytes(source, tokenAt, to, caller.subjects);
      if (verification !== undefined && this.#answer(source, idFrom, idTo, verification)) {
        dependencies.verifier.count(verification);
        return;
      }
    }
    const presented = visibleText(source, tokenAt, to);
    if (presented === undefined) this.#decisions.pushCounted(parse(source, from, to));
    else this.#decisions.pushPlain(idIn(source, idFrom, idTo), presented);
  }

  /** False for an answer that cannot be put together from its parts; nothing has happened then. */
  #answer(ids: Uint8Array, idFrom: number, idTo: number, decided: Verification | KeptAnswer): boolean {
    const { answers, state, maxVerdictBytes } = this.#kit;
    const decidedBytes = decisionBytes(decided);
    const encodedState = state.encoded();
    const bytes = decidedBytes + encodedState.length;
    if (decidedBytes === 0 || bytes > maxVerdictBytes) return false;
    if (!answers.hasRoomFor(bytes)) this.#flush();
    answers.put(ids, idFrom, idTo, decided, encodedState);
    return true;
  }

  #writeDecided(): void {
    while (this.#hasRoom) {
      const decided = this.#decisions.take();
      if (decided === undefined) return;
      const { id, verification } = decided;
      const idBytes = writeId(this.#id, id);
      if (verification === undefined || !this.#answer(this.#id, 0, idBytes, verification)) this.#writeWhole(decided);
    }
  }

  /** @throws ConnectError when the answer is larger than a message may be */
  #writeWhole(decided: Decided): void {
    const { answers, dependencies } = this.#kit;
    const message = toBinary(VerifyTokenStreamResponseSchema, wireAnswer(decided, dependencies, this.#left.signal));
    if (message.length > dependencies.maxMessageBytes) throw new ConnectError("too large", Code.ResourceExhausted);
    if (!answers.hasRoomFor(message.length)) this.#flush();
    if (answers.hasRoomFor(message.length)) answers.putMessage(message);
    else this.#write(envelope(message));
  }

  #flush(): void {
    const { answers } = this.#kit;
    if (!answers.isEmpty) this.#write(answers.take());
  }

  /** No more than what a call of it gives is encoded before the peer has room: what waits longer is checked again. */
  #write(bytes: Buffer): void {
    this.#sendHeaders();
    this.#hasRoom = this.#stream.write(bytes, 0);
  }

  #sendHeaders(): void {
    if (this.#headers === undefined) return;
    this.#stream.respond(this.#headers, false);
    this.#headers = undefined;
  }

  /** Ends the stream if nothing is left to do. */
  #conclude(): void {
    if (this.#decisions.hasDecided) return;
    if (this.#ending !== undefined) this.#end(this.#ending);
    else if (!this.#stream.remoteEnded || this.#held.length > 0) return;
    else if (this.#messages.isMidway) this.#end(incompleteMessage());
    else if (this.#decisions.isEmpty) this.#end(undefined);
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#over(error);
    this.#sendHeaders();
    this.#stream.end(error === undefined ? OK_TRAILERS : trailersOf(error));
    this.#stream.consumed(this.#held.length);
    this.#stream.discardRest();
  }

  #over(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#entry.leave();
    this.#reporter.end(error === undefined ? undefined : connectErrorFrom(error), error);
    this.#left.abort(canceled());
    this.#kit.onOver(this);
  }
}

/** @throws ConnectError as the framework does */
function parse(source: Buffer, from: number, to: number): VerifyTokenStreamRequest {
  try {
    // A copy: fields that are not known stay views of what they were read from.
    return fromBinary(VerifyTokenStreamRequestSchema, Buffer.from(source.subarray(from, to)));
  } catch (error) {
    throw new ConnectError("parse binary: malformed", Code.Internal, undefined, undefined, error);
  }
}

function trailersOf(error: unknown): Uint8Array {
  const trailers = new Headers();
  setTrailerStatus(trailers, connectErrorFrom(error));
  return encodeFields(trailers);
}
