import { once } from "node:events";
import type { Socket } from "node:net";
import { type Address, openSocket } from "../kit/address.ts";
import { FLAG, FRAME, FRAME_HEAD_BYTES, frame, INITIAL_WINDOW, opening, windowUpdate } from "./raw-frames.ts";

/** What becomes of a call. Header sections are not read: what matters is in the data. */
export interface Receiver {
  /** A DATA frame's payload, valid only during the call. */
  data(payload: Buffer): void;
  end(): void;
}

const EMPTY = Buffer.alloc(0);
/** How much is received before the connection's window is opened again by as much. */
const CREDIT_BYTES = 2 ** 30;

/**
 * The client side of an HTTP/2 connection at as little cost as possible, so that what is measured is the server. It
 * asks only our own servers; anything unexpected ends the connection with an error.
 */
export class RawConnection {
  readonly #socket: Socket;
  readonly #receivers = new Map<number, Receiver>();
  readonly #waiting: (() => void)[] = [];
  #nextStream = 1;
  #sendWindow = INITIAL_WINDOW;
  #received = 0;
  #rest: Buffer = EMPTY;
  #closed = false;
  /** Called when the connection ends before `close`. */
  onFailure: (error: Error) => void = (error) => {
    throw error;
  };

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static async open(address: Address): Promise<RawConnection> {
    const socket = openSocket(address);
    await once(socket, "connect");
    const connection = new RawConnection(socket);
    socket.write(opening());
    return connection;
  }

  /**
   * Makes a call.
   * @param block the header block
   * @param body at most 16,384 bytes; waits while the server's window is too small for it
   */
  call(block: Buffer, body: Buffer, receiver: Receiver): void {
    if (body.length > this.#sendWindow) {
      this.#waiting.push(() => this.call(block, body, receiver));
      return;
    }
    this.#sendWindow -= body.length;
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#receivers.set(stream, receiver);
    // One write for the two frames.
    const head = FRAME_HEAD_BYTES + block.length;
    const bytes = Buffer.allocUnsafe(head + FRAME_HEAD_BYTES + body.length);
    writeFrame(bytes, 0, FRAME.headers, FLAG.endHeaders, stream, block);
    writeFrame(bytes, head, FRAME.data, FLAG.endStream, stream, body);
    this.#socket.write(bytes);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    // All that the chunk's answers lead to leaves together.
    this.#socket.cork();
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      this.#take(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5), bytes, at + FRAME_HEAD_BYTES, end);
      at = end;
    }
    this.#socket.uncork();
    this.#rest = at === bytes.length ? EMPTY : bytes.subarray(at);
  }

  #take(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FRAME.data:
        this.#credit(end - start);
        this.#receivers.get(stream)?.data(bytes.subarray(start, end));
        if (flags & FLAG.endStream) this.#end(stream);
        break;
      case FRAME.headers:
        if (flags & FLAG.endStream) this.#end(stream);
        break;
      case FRAME.settings:
        if (!(flags & FLAG.ack)) this.#socket.write(frame(FRAME.settings, FLAG.ack, 0, EMPTY));
        break;
      case FRAME.ping:
        if (!(flags & FLAG.ack)) this.#socket.write(frame(FRAME.ping, FLAG.ack, 0, bytes.subarray(start, end)));
        break;
      case FRAME.windowUpdate:
        if (stream === 0) this.#open(bytes.readUInt32BE(start));
        break;
      case FRAME.reset:
      case FRAME.goaway:
        this.#fail(new Error(`the server sent a frame of type ${type}`));
        break;
      default:
    }
  }

  #end(stream: number): void {
    const receiver = this.#receivers.get(stream);
    this.#receivers.delete(stream);
    receiver?.end();
  }

  #credit(bytes: number): void {
    this.#received += bytes;
    if (this.#received < CREDIT_BYTES) return;
    this.#socket.write(windowUpdate(0, this.#received));
    this.#received = 0;
  }

  #open(bytes: number): void {
    this.#sendWindow += bytes;
    for (const call of this.#waiting.splice(0)) call();
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.close();
    this.onFailure(error);
  }
}

function writeFrame(bytes: Buffer, at: number, type: number, flags: number, stream: number, payload: Buffer): void {
  bytes.writeUIntBE(payload.length, at, 3);
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes.writeUInt32BE(stream, at + 5);
  payload.copy(bytes, at + FRAME_HEAD_BYTES);
}
