/** One message of a stream of the Connect protocol. */
export interface Frame {
  /** Whether it is the last one, which says how the stream ended. */
  readonly isEnd: boolean;
  readonly json: string;
}

const HEAD_BYTES = 5;
const END_FLAG = 0x02;
const COMPRESSED_FLAG = 0x01;
/** Far beyond any message that the gateway sends. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** A message as the Connect protocol carries it in a stream: a byte of flags, its length, itself. */
export function envelopeOf(message: object): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(JSON.stringify(message));
  const frame = new Uint8Array(HEAD_BYTES + body.byteLength);
  new DataView(frame.buffer).setUint32(1, body.byteLength);
  frame.set(body, HEAD_BYTES);
  return frame;
}

/** Finds messages in the pieces that a stream arrives in, wherever they were cut. */
export class FrameReader {
  #rest = new Uint8Array(0);

  /** @throws Error when the bytes are none of the protocol */
  push(piece: Uint8Array): Frame[] {
    const bytes = new Uint8Array(this.#rest.byteLength + piece.byteLength);
    bytes.set(this.#rest);
    bytes.set(piece, this.#rest.byteLength);
    const view = new DataView(bytes.buffer);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.byteLength - at >= HEAD_BYTES) {
      const flags = view.getUint8(at);
      const length = view.getUint32(at + 1);
      if ((flags & COMPRESSED_FLAG) !== 0 || length > MAX_MESSAGE_BYTES) throw new Error("not a stream of messages");
      const end = at + HEAD_BYTES + length;
      if (end > bytes.byteLength) break;
      const json = new TextDecoder().decode(bytes.subarray(at + HEAD_BYTES, end));
      frames.push({ isEnd: (flags & END_FLAG) !== 0, json });
      at = end;
    }
    this.#rest = bytes.slice(at);
    return frames;
  }
}
