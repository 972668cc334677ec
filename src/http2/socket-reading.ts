import { Socket, type SocketConstructorOpts } from "node:net";
import { TLSSocket } from "node:tls";

/** Takes what was read: the first `length` of `bytes`, which hold something else after the call. */
export type OnRead = (bytes: Buffer, length: number) => void;

/** What Node reads at once. */
export const READ_BYTES = 64 * 1024;

export function newReadBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(READ_BYTES);
}

/** What TLS gives at once: a record of the protocol. */
const RECORD_BYTES = 16 * 1024;

/**
 * Reads a socket, of which the first bytes may have been put back, and returns the socket to use in its place.
 *
 * Node gives each read a buffer of its own; here all connections in clear text of a process read into one (`onread` of node:net),
 * which halves what a read costs, and each one over TLS reads into one of its own. Servers cannot be told so: a connection in clear text
 * moves from the socket they made to another one, one over TLS is told afterwards. Where that is not possible the socket is read the
 * ordinary way. See docs/decisions/0017.
 */
export function readSocket(socket: Socket, buffer: Buffer, onRead: OnRead): Socket {
  const moved = moveToBuffer(socket, buffer, onRead);
  if (moved !== undefined) return moved;
  socket.on("data", (chunk: Buffer) => onRead(chunk, chunk.length));
  if (socket instanceof TLSSocket) readRecordsInto(Buffer.allocUnsafeSlow(RECORD_BYTES), socket, onRead);
  return socket;
}

/** Where a socket keeps the options of `onread`, by what these are called. Not a public interface. */
const ONREAD = new Map(symbolsOf(new Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } } as object)));

/**
 * Has a TLS socket read into a buffer, which nobody else may read into: a write may read, too (an empty one does), and what another
 * client sent must never be found where this one's was. All else stays as it is, `data` for what comes while the socket is paused included.
 */
function readRecordsInto(buffer: Buffer, socket: TLSSocket, onRead: OnRead): void {
  const [place, callback, generator] = ["kBuffer", "kBufferCb", "kBufferGen"].map((name) => ONREAD.get(name));
  const handle: Partial<Handle> | null | undefined = Reflect.get(socket, "_handle");
  if (place === undefined || callback === undefined || generator === undefined || !isHandle(handle)) return;
  Reflect.set(socket, place, buffer);
  Reflect.set(socket, generator, null);
  Reflect.set(socket, callback, (length: number) => {
    // Records that came with the one after which it was paused are given all the same. They keep their order.
    if (socket.isPaused() || socket.readableLength > 0) return socket.push(Buffer.from(buffer.subarray(0, length)));
    onRead(buffer, length);
    return true;
  });
  handle.useUserBuffer(buffer);
}

/**
 * Reads nothing more from a socket until the function that this returns is called: what comes stays with the kernel, and then with its
 * client. Where that is not possible the socket reads on as far as it buffers.
 */
export function holdReading(socket: Socket): () => void {
  const handle = handleOf(socket);
  if (handle === undefined) return () => {};
  handle.reading = false;
  handle.readStop();
  // What TLS still gives of what it has read would have it read on.
  socket._read = () => {};
  return () => {
    Reflect.deleteProperty(socket, "_read");
    if (socket.destroyed || handle.reading) return;
    handle.reading = true;
    handle.readStart();
  };
}

function moveToBuffer(socket: Socket, buffer: Buffer, onRead: OnRead): Socket | undefined {
  const handle = socket instanceof TLSSocket ? undefined : handleOf(socket);
  if (handle === undefined) return undefined;
  const first: Buffer | null = socket.read();
  // The new socket starts to read anew: if the client's end has been read already, that is read once more.
  handle.readStop();
  handle.reading = false;
  Reflect.set(socket, "_handle", null);
  const callback = (length: number) => {
    onRead(buffer, length);
    return true;
  };
  const options = { handle, allowHalfOpen: true, onread: { buffer, callback } };
  const moved = new Socket(options satisfies SocketConstructorOpts);
  if (first !== null) process.nextTick(onRead, first, first.length);
  // Whoever accepted the old one, and counts it, sees it close with the connection, or cuts the connection through it.
  moved.once("close", () => socket.destroy());
  socket.once("close", () => moved.destroy());
  return moved;
}

function symbolsOf(socket: Socket): (readonly [string | undefined, symbol])[] {
  return Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]);
}

/** What node:net has of the operating system's socket, as far as it is used here. Not a public interface. */
interface Handle {
  reading: boolean;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
}

function handleOf(socket: Socket): Handle | undefined {
  if (socket.destroyed) return undefined;
  const handle: Partial<Handle> | null | undefined = Reflect.get(socket, "_handle");
  return isHandle(handle) ? handle : undefined;
}

function isHandle(handle: Partial<Handle> | null | undefined): handle is Handle {
  return (
    typeof handle?.reading === "boolean" &&
    typeof handle.readStart === "function" &&
    typeof handle.readStop === "function" &&
    typeof handle.useUserBuffer === "function"
  );
}
