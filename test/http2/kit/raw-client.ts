import net from "node:net";
import tls from "node:tls";
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  uint31At,
  WINDOW_UPDATE,
} from "../../../src/http2/frame.ts";
import { HpackDecoder } from "../../../src/http2/hpack-decoder.ts";
import { opening, ping, settingsAck } from "./frames.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of the header block that ends with this frame. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
  /** The error code of the reset that ended it. */
  readonly reset: number | undefined;
}

export interface RawClientOptions {
  /** Sent in place of preface, SETTINGS and the acknowledgement of the server's. */
  readonly opening?: Uint8Array;
  readonly settings?: Readonly<Record<number, number>>;
  /** Certificates to trust; over TCP when not given. */
  readonly ca?: string;
}

/** A client of which every byte is the test's. It answers nothing by itself. */
export class RawClient {
  readonly socket: net.Socket;
  /** All that came, in its order. */
  readonly frames: Frame[] = [];
  /** How many pieces the bytes came in. */
  chunks = 0;
  receivedBytes = 0;
  /** Resolves when the connection is over, however it ended. */
  readonly closed: Promise<void>;
  #isClosed = false;
  #rest: Buffer = Buffer.alloc(0);
  #block: Buffer[] = [];
  readonly #decoder = new HpackDecoder(4096);
  readonly #waiting = new Set<() => void>();
  #pings = 0;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.#isClosed = true;
      for (const check of [...this.#waiting]) check();
    });
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts));
  }

  /** The first frame that fits, of those that came or will come. Rejects when the connection ends without one. */
  frame(fits: (frame: Frame) => boolean): Promise<Frame> {
    return this.until(() => this.frames.find(fits));
  }

  /** The first value that is not `undefined`; `probe` is asked again after each chunk. */
  until<T>(probe: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = probe();
        if (found === undefined && !this.#isClosed) return;
        this.#waiting.delete(check);
        if (found === undefined) reject(new Error(`the connection ended; it had ${this.frames.length} frames`));
        else resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }

  ofStream(streamId: number): Frame[] {
    return this.frames.filter((frame) => frame.streamId === streamId);
  }

  /** Waits until the server has read what was sent so far and answered what it answers at once. */
  async roundTrip(): Promise<void> {
    const payload = String(this.#pings++).padStart(8, "p");
    this.send(ping(payload));
    await this.frame((frame) => frame.type === PING && frame.payload.toString("latin1") === payload);
  }

  /** What came on a stream, once it has ended. */
  async answer(streamId: number): Promise<Answer> {
    await this.frame(
      ({ type, flags, streamId: id }) =>
        id === streamId && (type === RST_STREAM || ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0)),
    );
    const frames = this.ofStream(streamId);
    const sections = frames.filter(({ type, flags }) => isSection(type) && (flags & END_HEADERS) !== 0);
    const reset = frames.find(({ type }) => type === RST_STREAM);
    return {
      headers: sections[0]?.fields ?? {},
      body: this.body(streamId),
      trailers: sections[1]?.fields ?? {},
      reset: reset?.payload.readUInt32BE(0),
    };
  }

  body(streamId: number): Buffer {
    return Buffer.concat(this.ofStream(streamId).flatMap(({ type, payload }) => (type === DATA ? [payload] : [])));
  }

  /** The error code and the last stream of the first GOAWAY with such a code. */
  async goAway(code: number): Promise<{ code: number; lastStreamId: number; debug: string }> {
    const { payload } = await this.frame(({ type, payload }) => type === GOAWAY && payload.readUInt32BE(4) === code);
    return { code, lastStreamId: payload.readUInt32BE(0), debug: payload.toString("latin1", 8) };
  }

  /** The sum of the windows that the server opened. */
  credited(streamId: number): number {
    const updates = this.ofStream(streamId).filter(({ type }) => type === WINDOW_UPDATE);
    return updates.reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #onChunk(chunk: Buffer): void {
    this.chunks += 1;
    this.receivedBytes += chunk.length;
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (rest.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      this.#onFrame(rest.readUInt8(3), rest.readUInt8(4), uint31At(rest, 5), rest.subarray(FRAME_HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
    for (const check of [...this.#waiting]) check();
  }

  #onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    let fields: Record<string, string> = {};
    if (isSection(type)) {
      this.#block.push(payload);
      if ((flags & END_HEADERS) !== 0) fields = this.#decode(Buffer.concat(this.#block.splice(0)));
    }
    this.frames.push({ type, flags, streamId, payload, fields });
  }

  #decode(block: Buffer): Record<string, string> {
    const list: { name: string; value: string; size: number }[] = [];
    this.#decoder.decode(block, 0, block.length, list, Number.MAX_SAFE_INTEGER);
    return Object.fromEntries(list.map(({ name, value }) => [name, value]));
  }
}

function isSection(type: number): boolean {
  return type === HEADERS || type === CONTINUATION;
}

/** Connects, and sends what opens a connection. */
export async function connectRaw(port: number, options: RawClientOptions = {}): Promise<RawClient> {
  const { ca } = options;
  const socket =
    ca === undefined
      ? net.connect({ port, host: "127.0.0.1", noDelay: true })
      : tls.connect({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"], servername: "localhost" });
  const client = new RawClient(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once(ca === undefined ? "connect" : "secureConnect", () => resolve());
    socket.once("close", () => reject(new Error("the connection was refused")));
  });
  client.send(options.opening ?? Buffer.concat([opening(options.settings), settingsAck()]));
  return client;
}

/** The server's SETTINGS, once they came. */
export async function serverSettings(client: RawClient): Promise<ReadonlyMap<number, number>> {
  const { payload } = await client.frame(({ type, flags }) => type === SETTINGS && flags === 0);
  const values = new Map<number, number>();
  for (let at = 0; at < payload.length; at += 6) values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  return values;
}
