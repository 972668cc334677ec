/** The frames of HTTP/2 (RFC 9113, 6) that a client needs. */
export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
export const FRAME_HEAD_BYTES = 9;
const MAX_WINDOW = 2 ** 31 - 1;
export const INITIAL_WINDOW = 65_535;

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTING_INITIAL_WINDOW = 4;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

/** What a client sends first: the preface, and windows that never close. */
export function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(SETTING_INITIAL_WINDOW, 0);
  settings.writeUInt32BE(MAX_WINDOW, 2);
  return Buffer.concat([
    Buffer.from(PREFACE, "latin1"),
    frame(FRAME.settings, 0, 0, settings),
    windowUpdate(0, MAX_WINDOW - INITIAL_WINDOW),
  ]);
}

export function windowUpdate(stream: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes, 0);
  return frame(FRAME.windowUpdate, 0, stream, payload);
}

/** The header block of a gRPC call, in literals that no table remembers: the same bytes for every call. */
export function grpcHeaderBlock(path: string, authorization?: string): Buffer {
  // Indexes are those of the static table (RFC 7541, appendix A): 1 :authority, 3 POST, 4 :path, 6 http, 23 authorization,
  // 31 content-type.
  return Buffer.concat([
    Buffer.from([0x83, 0x86]),
    literal([0x04], path),
    literal([0x01], "localhost"),
    literal([0x0f, 31 - 15], "application/grpc"),
    literal([0x00, 2, ...Buffer.from("te")], "trailers"),
    ...(authorization === undefined ? [] : [literal([0x0f, 23 - 15], authorization)]),
  ]);
}

/** A value of up to 126 bytes, not Huffman-coded. */
function literal(name: readonly number[], value: string): Buffer {
  return Buffer.concat([Buffer.from([...name, value.length]), Buffer.from(value, "latin1")]);
}
