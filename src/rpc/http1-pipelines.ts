import type { RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Turns } from "../http2/turns.ts";

/** Requests that a client may have sent over HTTP/1.1 before it has the answer to the first. */
const MAX_PIPELINED = 32;
/** With so many under way no more is parsed. What was parsed last may hold some more. */
const ENOUGH = 8;
/** What is parsed of one connection before all others get their turn: a score of small requests. */
const SLICE_BYTES = 4 * 1024;

type Parse = (bytes: Buffer) => void;

/**
 * Bounds what one HTTP/1.1 connection has under way, and what it is given of the event loop: one chunk of input can hold a thousand
 * requests, and the runtime begins them all at once, even on a connection that has been closed meanwhile. And when the
 * connection is lost, has all of them know: the runtime tells but the first that has no answer.
 */
export class Http1Pipelines {
  readonly #turns = new Turns();
  readonly #pipelines = new WeakMap<Socket, Pipeline>();

  /** Hands requests on, as long as there are not too many. */
  limit(serve: RequestListener): RequestListener {
    return (request, response) => {
      const pipeline = this.#pipelineOf(request.socket);
      if (pipeline.add(response)) serve(request, response);
    };
  }

  /** Has a connection that node:http serves read in slices. */
  pace(socket: Socket): void {
    const [parse] = socket.listeners("data");
    if (parse === undefined) return;
    const pipeline = this.#pipelineOf(socket);
    socket.removeListener("data", parse as Parse);
    socket.on("data", (chunk: Buffer) => pipeline.take(chunk, parse as Parse));
  }

  #pipelineOf(socket: Socket): Pipeline {
    let pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) {
      pipeline = new Pipeline(socket, this.#turns);
      this.#pipelines.set(socket, pipeline);
    }
    return pipeline;
  }
}

/**
 * One connection. What is not parsed yet goes back into the socket, so that its end comes after it, and so that node:http, which
 * pauses the socket for requests that nobody reads and for answers that nobody takes, has its way with it too.
 */
class Pipeline {
  readonly #socket: Socket;
  readonly #turns: Turns;
  readonly #responses = new Set<ServerResponse>();
  /** Whether input is held back here, whoever resumes the socket. */
  #isHeld = false;
  #isWaiting = false;

  constructor(socket: Socket, turns: Turns) {
    this.#socket = socket;
    this.#turns = turns;
    socket.once("close", () => this.#onClose());
  }

  /** False for one too many: the connection is cut. */
  add(response: ServerResponse): boolean {
    if (this.#responses.size >= MAX_PIPELINED || this.#socket.destroyed) {
      this.#socket.destroy();
      return false;
    }
    this.#responses.add(response);
    response.once("close", () => {
      this.#responses.delete(response);
      if (this.#isHeld) this.#wait();
    });
    return true;
  }

  take(chunk: Buffer, parse: Parse): void {
    if (this.#isHeld || this.#hasEnough) {
      this.#isHeld = true;
      this.#putBack(chunk);
      return;
    }
    const socket = this.#socket;
    parse(chunk.subarray(0, SLICE_BYTES));
    if (socket.destroyed) return;
    // Else by node:http, which resumes it by itself.
    if (!socket.isPaused()) {
      const isAll = chunk.length <= SLICE_BYTES && socket.readableLength === 0;
      if (isAll && !this.#hasEnough) return;
      this.#isHeld = true;
      this.#wait();
    }
    this.#putBack(chunk.subarray(SLICE_BYTES));
  }

  /** Into a socket that is paused: one that flows would give it out again at once. */
  #putBack(bytes: Buffer): void {
    this.#socket.pause();
    if (bytes.length > 0) this.#socket.unshift(bytes);
  }

  get #hasEnough(): boolean {
    return this.#responses.size >= ENOUGH;
  }

  #wait(): void {
    if (this.#isWaiting || this.#hasEnough) return;
    this.#isWaiting = true;
    this.#turns.wait(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#isWaiting = false;
    if (this.#socket.destroyed) return;
    this.#isHeld = false;
    this.#socket.resume();
  };

  #onClose(): void {
    for (const response of this.#responses) {
      response.destroy();
      // One that has not got the connection yet would never say so by itself.
      response.emit("close");
    }
  }
}
