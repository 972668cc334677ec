import { Socket, type SocketConstructorOpts } from "node:net";
import { TLSSocket } from "node:tls";

/** Takes what was read: the first `length` of `bytes`, which hold something else after the call. */
export type OnRead = (bytes: Buffer, length: number) => void;

/** What Node reads at once. */
export const READ_BYTES = 64 * 1024;

export function newReadBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(READ_BYTES);
}

/**
 * Reads a socket, of which the first bytes may have been put back, and returns the socket to use in its place.
 *
 * Node gives each read a buffer of its own; here all connections of a process read into one (`onread` of node:net), which
 * halves what a read costs. Servers cannot be told so: the connection moves from the socket they made to another one. Where
 * that is not possible, as over TLS, the socket is read the ordinary way. See docs/decisions/0017.
 */
export function readSocket(socket: Socket, buffer: Buffer, onRead: OnRead): Socket {
  const moved = moveToBuffer(socket, buffer, onRead);
  if (moved !== undefined) return moved;
  socket.on("data", (chunk: Buffer) => onRead(chunk, chunk.length));
  return socket;
}

function moveToBuffer(socket: Socket, buffer: Buffer, onRead: OnRead): Socket | undefined {
  const handle = handleOf(socket);
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

/** What node:net has of the operating system's socket, as far as it is used here. Not a public interface. */
interface Handle {
  reading: boolean;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
}

function handleOf(socket: Socket): Handle | undefined {
  if (socket instanceof TLSSocket || socket.destroyed) return undefined;
  const handle: Partial<Handle> | null | undefined = Reflect.get(socket, "_handle");
  return isHandle(handle) ? handle : undefined;
}

function isHandle(handle: Partial<Handle> | null | undefined): handle is Handle {
  return (
    typeof handle?.reading === "boolean" &&
    typeof handle.readStop === "function" &&
    typeof handle.useUserBuffer === "function"
  );
}
