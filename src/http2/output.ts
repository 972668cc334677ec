import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { SlabPool } from "./slab-pool.ts";

/** Room for the largest frame and for what surrounds the answers of one chunk of input. */
export const OUTPUT_BYTES = 32 * 1024;

const NO_SLAB: Buffer = Buffer.alloc(0);

/**
 * What a connection has to send. Frames are written straight into `buffer` at `length` after `reserve`; everything
 * written up to a flush leaves in one write.
 */
export class Output {
  /** Where to write, from `length` on. Valid until the next `reserve` or `flush`. */
  buffer: Buffer = NO_SLAB;
  length = 0;
  /** Bytes that the socket has been given so far. */
  writtenBytes = 0;
  readonly #socket: Duplex;
  readonly #pool: SlabPool;
  readonly #isEncrypted: boolean;
  /** Slabs that TLS has been given, in their order. */
  readonly #lent: Buffer[] = [];

  constructor(socket: Duplex, pool: SlabPool) {
    this.#socket = socket;
    this.#pool = pool;
    this.#isEncrypted = socket instanceof TLSSocket;
  }

  /** Makes room for `bytes` more, at most a slab. */
  reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    this.flush();
    if (this.buffer === NO_SLAB) this.buffer = this.#pool.take(OUTPUT_BYTES);
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength + this.length;
  }

  flush(): void {
    const { buffer, length } = this;
    if (buffer === NO_SLAB) return;
    this.buffer = NO_SLAB;
    this.length = 0;
    this.writtenBytes += length;
    if (length === 0 || this.#socket.destroyed || this.#socket.writableEnded) {
      this.#pool.give(buffer);
    } else if (this.#socket.writableLength > 0) {
      // Behind earlier output that the kernel has not taken: a copy of just these bytes may have to wait for long.
      this.#socket.write(Buffer.from(buffer.subarray(0, length)));
      this.#pool.give(buffer);
    } else {
      this.#send(buffer, length);
    }
  }

  #send(slab: Buffer, length: number): void {
    if (this.#isEncrypted) {
      this.#lent.push(slab);
      this.#socket.write(slab.subarray(0, length), this.#giveBack);
      return;
    }
    this.#socket.write(slab.subarray(0, length));
    // The kernel has taken it all in that call, as it mostly does. If not, the slab goes with the write.
    if (this.#socket.writableLength === 0) this.#pool.give(slab);
  }

  readonly #giveBack = (): void => {
    const slab = this.#lent.shift();
    if (slab !== undefined) this.#pool.give(slab);
  };
}
