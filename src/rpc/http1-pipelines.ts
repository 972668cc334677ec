import type { RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Turns } from "../http2/turns.ts";

/** Requests that a client may have sent over HTTP/1.1 before it has the answer to the first. */
const MAX_PIPELINED = 32;
/** With so many under way no more is read. What was read may hold some more. */
const ENOUGH = 8;
/** What is read of one connection before all others get their turn: a score of small requests. */
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

/** One connection. */
class Pipeline {
  readonly #socket: Socket;
  readonly #turns: Turns;
  readonly #responses = new Set<ServerResponse>();
  /** What has come and has not been parsed. */
  #held: Buffer | undefined;
  #parse: Parse | undefined;
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
      if (this.#held !== undefined) this.#wait();
    });
    return true;
  }

  take(chunk: Buffer, parse: Parse): void {
    this.#parse = parse;
    this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    if (!this.#isWaiting) this.#read();
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#turns.wait(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#isWaiting = false;
    this.#read();
  };

  #read(): void {
    const held = this.#held;
    if (held === undefined || this.#socket.destroyed) return;
    if (this.#responses.size < ENOUGH) {
      this.#held = held.length > SLICE_BYTES ? held.subarray(SLICE_BYTES) : undefined;
      this.#parse?.(held.subarray(0, SLICE_BYTES));
      if (this.#held === undefined) {
        this.#socket.resume();
        return;
      }
      this.#wait();
    }
    this.#socket.pause();
  }

  #onClose(): void {
    this.#held = undefined;
    for (const response of this.#responses) {
      response.destroy();
      // One that has not got the connection yet would never say so by itself.
      response.emit("close");
    }
  }
}
