import { encodeFields } from "../../../src/http2/hpack-encoder.ts";
import type { ServerStream, StreamConsumer } from "../../../src/http2/server-stream.ts";

/** A request as its handler sees it. Keeps the body; reads it at once unless `isReading` says otherwise. */
export class Call implements StreamConsumer {
  readonly stream: ServerStream;
  readonly parts: Buffer[] = [];
  receivedBytes = 0;
  isReading = true;
  hasEnded = false;
  writableCount = 0;
  overCount = 0;
  whenEnded: () => void = () => undefined;
  whenWritable: () => void = () => undefined;
  whenOver: () => void = () => undefined;

  constructor(stream: ServerStream) {
    this.stream = stream;
    stream.consumer = this;
  }

  get path(): string {
    return this.stream.head.path;
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  /** Answers with a body and trailers. */
  answer(body: Uint8Array, trailers: Record<string, string> = { "grpc-status": "0" }): void {
    this.begin();
    this.stream.write(body);
    this.stream.end(encodeFields(Object.entries(trailers)));
  }

  begin(): void {
    this.stream.respond(encodeFields([[":status", "200"]]), false);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.overCount > 0) throw new Error("data after the end of the stream");
    this.receivedBytes += end - start;
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
    if (this.isReading) this.stream.consumed(end - start);
  }

  onEnd(): void {
    if (this.overCount > 0) throw new Error("the end of the body after the end of the stream");
    this.hasEnded = true;
    this.whenEnded();
  }

  onWritable(): void {
    if (this.overCount > 0) throw new Error("room after the end of the stream");
    this.writableCount += 1;
    this.whenWritable();
  }

  onOver(): void {
    this.overCount += 1;
    this.whenOver();
  }
}

/**
 * Serves by the path: `/echo` gives the body back, `/size/<n>` answers with `pattern(n)`, `/early` answers before the body
 * and wants none of it, `/unread` reads none of it, and any other never answers.
 */
export function serve(call: Call): void {
  const size = /^\/size\/(\d+)$/.exec(call.path)?.[1];
  if (size !== undefined) call.whenEnded = () => call.answer(pattern(Number(size)));
  else if (call.path === "/echo") call.whenEnded = () => call.answer(call.body);
  else if (call.path === "/unread") call.isReading = false;
  else if (call.path === "/early") {
    call.stream.discardRest();
    call.answer(Buffer.from("enough"));
  }
}

const patterns = new Map<number, Buffer>();

/** Bytes that differ wherever one could be taken for another: the period is a prime. One buffer for each length. */
export function pattern(length: number): Buffer {
  const known = patterns.get(length);
  if (known !== undefined) return known;
  const made = Buffer.alloc(
    length,
    Buffer.from(Array.from({ length: 8191 }, (_, at) => (at * 167 + (at >> 5)) & 0xff)),
  );
  patterns.set(length, made);
  return made;
}
