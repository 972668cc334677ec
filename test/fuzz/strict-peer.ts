import type { HeaderField } from "../../src/http2/header-field.ts";
import { HpackDecoder } from "../../src/http2/hpack-decoder.ts";
import { FLAG, type Frame, FrameCutter, INITIAL_WINDOW, MAX_FRAME, SETTING, TYPE } from "./wire.ts";

/** What a client sees of one stream. */
export interface StreamView {
  readonly headers: readonly (readonly [string, string])[] | undefined;
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[] | undefined;
  /** Whether the answer ended as it should. */
  readonly isComplete: boolean;
  /** The first RST_STREAM's code. */
  readonly reset: number | undefined;
}

interface Stream {
  headers: [string, string][] | undefined;
  body: Buffer[];
  trailers: [string, string][] | undefined;
  isComplete: boolean;
  reset: number | undefined;
  /** What the server may send, by the initial windows that it has acknowledged. */
  window: number;
}

const MAX_CODE = 0xd;

/**
 * The client's end of a connection: reads what a server sends and insists on the rules (RFC 9113). It is told what is sent
 * to the server, to know what the server may do.
 */
export class StrictPeer {
  readonly #sent = new FrameCutter();
  readonly #received = new FrameCutter();
  readonly #decoder = new HpackDecoder(4_096);
  readonly #streams = new Map<number, Stream>();
  readonly #opened = new Set<number>();
  readonly #pings: string[] = [];
  /** What each SETTINGS that the server has not acknowledged says of initial windows. */
  readonly #pending: (number | undefined)[] = [];
  readonly #increments = new Map<number, number>();
  #initialWindow = INITIAL_WINDOW;
  #window = INITIAL_WINDOW;
  #maxFrame = MAX_FRAME;
  #sawSettings = false;
  #block: { readonly stream: number; readonly endStream: boolean; readonly parts: Buffer[] } | undefined;
  /** Payloads of the PINGs that were answered, in their order. */
  readonly answeredPings: string[] = [];
  /** The last GOAWAY's code. */
  goAway: number | undefined;
  /** Its debug data. */
  goAwayText = "";
  #lastStream = 0x7fff_ffff;
  /** Frames of the server that were no answer to a PING. */
  frames = 0;

  /** Call before the bytes leave. */
  sending(bytes: Uint8Array): void {
    for (const frame of this.#sent.push(bytes)) this.#onSent(frame);
  }

  /** @throws Error when the server broke a rule */
  receive(bytes: Uint8Array): void {
    for (const frame of this.#received.push(bytes)) this.#onFrame(frame);
  }

  /** @throws Error when the server stopped in the middle */
  end(): void {
    if (this.#received.missing > 0) violated("the connection ended in the middle of a frame");
    if (this.#block !== undefined) violated("the connection ended in the middle of a header block");
  }

  views(): ReadonlyMap<number, StreamView> {
    return new Map([...this.#streams].map(([id, stream]) => [id, { ...stream, body: Buffer.concat(stream.body) }]));
  }

  #onSent({ type, flags, stream, payload }: Frame): void {
    if (type === TYPE.headers) this.#opened.add(stream);
    else if (type === TYPE.ping && (flags & FLAG.ack) === 0) this.#pings.push(payload.toString("latin1"));
    else if (type === TYPE.windowUpdate && payload.length === 4)
      this.#grant(stream, payload.readUInt32BE() & 0x7fff_ffff);
    else if (type === TYPE.settings && (flags & FLAG.ack) === 0 && payload.length % 6 === 0)
      this.#onSentSettings(payload);
  }

  #grant(stream: number, increment: number): void {
    if (stream === 0) this.#window += increment;
    else {
      this.#increments.set(stream, (this.#increments.get(stream) ?? 0) + increment);
      const open = this.#streams.get(stream);
      if (open !== undefined) open.window += increment;
    }
  }

  #onSentSettings(payload: Buffer): void {
    let window: number | undefined;
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      if (payload.readUInt16BE(at) === SETTING.initialWindow) window = value;
      if (payload.readUInt16BE(at) === SETTING.maxFrame) this.#maxFrame = Math.max(this.#maxFrame, value);
    }
    this.#pending.push(window);
  }

  #onFrame(frame: Frame): void {
    const { type, flags, stream, payload } = frame;
    if (!this.#sawSettings && (type !== TYPE.settings || (flags & FLAG.ack) !== 0)) violated("no SETTINGS at first");
    this.#sawSettings = true;
    if (payload.length > this.#maxFrame) violated(`a frame of ${payload.length} bytes`);
    if (this.goAway !== undefined && this.goAway !== 0) violated(`a frame of type ${type} after GOAWAY with an error`);
    if (this.#block !== undefined && (type !== TYPE.continuation || stream !== this.#block.stream)) {
      violated("a header block was interrupted");
    }
    if (type !== TYPE.ping) this.frames += 1;
    if (type === TYPE.data) this.#onData(frame);
    else if (type === TYPE.headers) this.#onHeaders(frame);
    else if (type === TYPE.continuation) this.#onContinuation(flags, payload);
    else if (type === TYPE.reset) this.#onReset(stream, payload);
    else if (type === TYPE.settings) this.#onSettings(flags, stream, payload);
    else if (type === TYPE.ping) this.#onPing(flags, stream, payload);
    else if (type === TYPE.goAway) this.#onGoAway(stream, payload);
    else if (type === TYPE.windowUpdate) this.#onWindowUpdate(stream, payload);
    else violated(`a frame of type ${type}`);
  }

  #onData({ flags, stream: id, payload }: Frame): void {
    const stream = this.#answering(id, "DATA");
    if (stream.headers === undefined) violated("DATA before HEADERS");
    const padding = (flags & FLAG.padded) === 0 ? 0 : (payload[0] ?? 0) + 1;
    const from = padding === 0 ? 0 : 1;
    stream.body.push(payload.subarray(from, payload.length - padding + from));
    stream.window -= payload.length;
    this.#window -= payload.length;
    const rise = Math.max(0, ...this.#pending.map((window) => (window ?? 0) - this.#initialWindow));
    if (payload.length > 0 && stream.window + rise < 0)
      violated(`${-stream.window} bytes beyond stream ${id}'s window`);
    if (payload.length > 0 && this.#window < 0) violated(`${-this.#window} bytes beyond the connection's window`);
    if ((flags & FLAG.endStream) !== 0) this.#complete(id, stream);
  }

  #onHeaders({ flags, stream, payload }: Frame): void {
    if ((flags & (FLAG.padded | FLAG.priority)) !== 0) violated("HEADERS with padding or priority");
    this.#answering(stream, "HEADERS");
    this.#block = { stream, endStream: (flags & FLAG.endStream) !== 0, parts: [] };
    this.#onContinuation(flags, payload);
  }

  #onContinuation(flags: number, payload: Buffer): void {
    const block = this.#block;
    if (block === undefined) violated("CONTINUATION of nothing");
    block.parts.push(payload);
    if ((flags & FLAG.endHeaders) === 0) return;
    this.#block = undefined;
    const whole = Buffer.concat(block.parts);
    const fields: HeaderField[] = [];
    if (!this.#decoder.decode(whole, 0, whole.length, fields, 1 << 20)) violated("headers without end");
    this.#onFields(
      block.stream,
      fields.map(({ name, value }) => [name, value]),
      block.endStream,
    );
  }

  #onFields(id: number, fields: [string, string][], endStream: boolean): void {
    const stream = this.#answering(id, "HEADERS");
    if (fields.some(([name]) => name !== name.toLowerCase())) violated("a name in upper case");
    const pseudo = fields.filter(([name]) => name.startsWith(":"));
    if (stream.headers === undefined) {
      const status = fields[0];
      if (pseudo.length !== 1 || status?.[0] !== ":status") violated("an answer needs its status, at first");
      if (!/^[2-5]\d\d$/.test(status[1])) violated(`status ${status[1]}`);
      stream.headers = fields;
    } else {
      if (!endStream) violated("trailers that do not end the stream");
      if (pseudo.length > 0) violated("trailers with a pseudo-field");
      stream.trailers = fields;
    }
    if (endStream) this.#complete(id, stream);
  }

  #onReset(id: number, payload: Buffer): void {
    if (payload.length !== 4) violated("RST_STREAM of a wrong size");
    if (payload.readUInt32BE() > MAX_CODE) violated("an unknown error code");
    // To open a stream closes those below it that were idle (RFC 9113, 5.1.1).
    if (id % 2 === 0 || id > Math.max(...this.#opened)) violated(`RST_STREAM on stream ${id}, which is idle`);
    const stream = this.#streamOf(id);
    stream.reset ??= payload.readUInt32BE();
  }

  #onSettings(flags: number, stream: number, payload: Buffer): void {
    if (stream !== 0 || payload.length % 6 !== 0) violated("SETTINGS of a wrong form");
    if ((flags & FLAG.ack) === 0) return;
    if (payload.length > 0 || this.#pending.length === 0) violated("an acknowledgement of nothing");
    const window = this.#pending.shift();
    if (window === undefined) return;
    for (const open of this.#streams.values()) open.window += window - this.#initialWindow;
    this.#initialWindow = window;
  }

  #onPing(flags: number, stream: number, payload: Buffer): void {
    if (stream !== 0 || payload.length !== 8) violated("PING of a wrong form");
    if ((flags & FLAG.ack) === 0) return;
    const text = payload.toString("latin1");
    if (this.#pings.shift() !== text) violated("an answer to no PING");
    this.answeredPings.push(text);
  }

  #onGoAway(stream: number, payload: Buffer): void {
    if (stream !== 0 || payload.length < 8) violated("GOAWAY of a wrong form");
    const last = payload.readUInt32BE();
    if (last > this.#lastStream) violated("GOAWAY takes back what it refused");
    this.#lastStream = last;
    this.goAway = payload.readUInt32BE(4);
    this.goAwayText = payload.toString("latin1", 8);
    if (this.goAway > MAX_CODE) violated("an unknown error code");
  }

  #onWindowUpdate(stream: number, payload: Buffer): void {
    if (payload.length !== 4 || payload.readUInt32BE() === 0) violated("WINDOW_UPDATE of a wrong form");
    if (stream !== 0 && this.#streams.get(stream)?.reset !== undefined) violated("WINDOW_UPDATE after RST_STREAM");
    if (stream !== 0 && !this.#opened.has(stream)) violated("WINDOW_UPDATE on an idle stream");
  }

  #complete(id: number, stream: Stream): void {
    stream.isComplete = true;
    const stated = stream.headers?.find(([name]) => name === "content-length")?.[1];
    const length = stream.body.reduce((sum, { length }) => sum + length, 0);
    // Answers to HEAD have none of the content that they state the length of.
    if (stated !== undefined && length !== 0 && Number(stated) !== length) {
      violated(`content-length ${stated} and ${length} bytes on stream ${id}`);
    }
  }

  /** A stream on which the server may send its answer. */
  #answering(id: number, what: string): Stream {
    if (!this.#opened.has(id) || id % 2 === 0) violated(`${what} on stream ${id}, which nobody opened`);
    const stream = this.#streamOf(id);
    if (stream.isComplete || stream.reset !== undefined) violated(`${what} on stream ${id}, which is over`);
    return stream;
  }

  #streamOf(id: number): Stream {
    let stream = this.#streams.get(id);
    if (stream === undefined) {
      const window = this.#initialWindow + (this.#increments.get(id) ?? 0);
      stream = { headers: undefined, body: [], trailers: undefined, isComplete: false, reset: undefined, window };
      this.#streams.set(id, stream);
    }
    return stream;
  }
}

function violated(what: string): never {
  throw new Error(`the server broke the protocol: ${what}`);
}
