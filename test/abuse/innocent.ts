import type { Socket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Source,
  Verdict,
  VerifyTokenRequestSchema,
  VerifyTokenResponseSchema,
} from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { DATA, END_STREAM, FRAME_HEADER_BYTES, HEADERS, RST_STREAM, uint31At } from "../../src/http2/frame.ts";
import { encodeFields } from "../../src/http2/hpack-encoder.ts";
import { data, headers, opening, requestFields, settingsAck, windowUpdate } from "../http2/kit/frames.ts";
import { open, type Target } from "./target.ts";

const BLOCK = encodeFields(
  requestFields("/m2mgateway.v1.TokenService/VerifyToken", [
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ]),
);
const PAUSE_MS = 5;

/** A client that asks for one hot token again and again on one connection, and minds its own business. */
export class Innocent {
  readonly #body: Buffer;
  readonly #socket: Socket;
  readonly #opened: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #streamId = -1;
  #message: Buffer = Buffer.alloc(0);
  #onEnd: (error?: Error) => void = () => {};
  /** Calls that were refused for too much work: no answer, but no wrong one either. */
  refused = 0;

  constructor(target: Target, token: string) {
    const message = toBinary(VerifyTokenRequestSchema, create(VerifyTokenRequestSchema, { token }));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    this.#body = Buffer.concat([head, message]);
    let onOpen = () => {};
    this.#opened = new Promise((resolve) => {
      onOpen = resolve;
    });
    this.#socket = open(target, "h2", (socket) => {
      socket.write(Buffer.concat([opening(), settingsAck(), windowUpdate(0, 2 ** 30)]));
      onOpen();
    });
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.once("close", () => this.#onEnd(new Error("the innocent's connection was closed")));
  }

  /**
   * Asks until `isOver`, `atLeast` times in any case.
   *
   * @returns how long each answer took, in milliseconds
   * @throws Error when an answer is another than VALID from memory, or the connection or call is cut
   */
  async ask(isOver: () => boolean, atLeast: number): Promise<number[]> {
    await this.#opened;
    const latenciesMs: number[] = [];
    while (!isOver() || latenciesMs.length < atLeast) {
      const startedAtMs = performance.now();
      await this.#verify();
      latenciesMs.push(performance.now() - startedAtMs);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return latenciesMs;
  }

  close(): void {
    this.#onEnd = () => {};
    this.#socket.destroy();
  }

  #verify(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#streamId += 2;
      this.#message = Buffer.alloc(0);
      this.#onEnd = (error) => {
        const isRefused = error === undefined && this.#message.length === 0;
        if (isRefused) this.refused += 1;
        const failure = isRefused ? undefined : (error ?? problemOf(this.#message));
        if (failure === undefined) resolve();
        else reject(failure);
      };
      this.#socket.write(
        Buffer.concat([headers(this.#streamId, BLOCK), data(this.#streamId, this.#body, { end: true })]),
      );
    });
  }

  #read(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (rest.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      const [type, flags, streamId] = [rest[3], rest[4] ?? 0, uint31At(rest, 5)];
      if (streamId === this.#streamId) this.#onFrame(type, flags, rest.subarray(FRAME_HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#rest = Buffer.from(rest);
  }

  #onFrame(type: number | undefined, flags: number, payload: Buffer): void {
    if (type === DATA) this.#message = Buffer.concat([this.#message, payload]);
    if (type === RST_STREAM) this.#onEnd(new Error("the innocent's call was reset"));
    else if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) this.#onEnd();
  }
}

function problemOf(message: Buffer): Error | undefined {
  const { verdict, source } = fromBinary(VerifyTokenResponseSchema, message.subarray(5));
  if (verdict === Verdict.VALID && source === Source.MEMORY) return undefined;
  return new Error(`the innocent was answered ${Verdict[verdict]} from ${Source[source]}`);
}
