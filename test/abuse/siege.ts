import type { Socket } from "node:net";
import { type Announced, open, type Target } from "./target.ts";

/** What became of an attack's connections. */
export interface Tally {
  opened: number;
  /** By the gateway, or before they opened. */
  closed: number;
}

export interface SiegeOptions {
  readonly connections: number;
  readonly announced: Announced;
  /** Whether what is sent back is read. */
  readonly reads: boolean;
}

/** Connections on their way at once: beyond it the kernel drops them, and tries again after a second. */
const OPENING_AT_ONCE = 100;
const REOPEN_AFTER_MS = 50;

/** A number of connections that are opened anew as often as the gateway closes them. */
export class Siege {
  readonly tally: Tally = { opened: 0, closed: 0 };
  readonly #target: Target;
  readonly #options: SiegeOptions;
  readonly #serve: (socket: Socket) => void;
  readonly #sockets = new Set<Socket>();
  #wanted: number;
  #opening = 0;
  #isOver = false;
  #onAllOpened: () => void = () => {};
  /** Resolves once each connection has been opened, or refused, once. */
  readonly ready: Promise<void>;

  constructor(target: Target, options: SiegeOptions, serve: (socket: Socket) => void) {
    this.#target = target;
    this.#options = options;
    this.#serve = serve;
    this.#wanted = options.connections;
    this.ready = new Promise((resolve) => {
      this.#onAllOpened = resolve;
    });
    this.#open();
  }

  end(): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): void {
    while (!this.#isOver && this.#wanted > 0 && this.#opening < OPENING_AT_ONCE) {
      this.#wanted -= 1;
      this.#opening += 1;
      this.#openOne();
    }
  }

  #openOne(): void {
    let isOpening = true;
    const settle = () => {
      if (!isOpening) return;
      isOpening = false;
      this.#opening -= 1;
      if (this.tally.opened + this.tally.closed >= this.#options.connections) this.#onAllOpened();
      this.#open();
    };
    const socket = open(this.#target, this.#options.announced, () => {
      this.tally.opened += 1;
      settle();
      if (!this.#isOver) this.#serve(socket);
    });
    if (this.#options.reads) socket.resume();
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      if (this.#isOver) return;
      this.tally.closed += 1;
      settle();
      setTimeout(() => {
        this.#wanted += 1;
        this.#open();
      }, REOPEN_AFTER_MS);
    });
  }
}

/** Pieces written in a row: a gateway that takes them faster than they are made must not keep the others from theirs. */
const PIECES_AT_ONCE = 8;

/** Writes as fast as the gateway takes it, for as long as the connection lives. */
export function pour(socket: Socket, next: () => Uint8Array): void {
  const go = () => {
    for (let at = 0; at < PIECES_AT_ONCE; at++) {
      if (socket.destroyed || !socket.writable) return;
      if (!socket.write(next())) {
        socket.once("drain", () => setImmediate(go));
        return;
      }
    }
    setImmediate(go);
  };
  go();
}

/** Writes a piece now and then. */
export function drip(socket: Socket, everyMs: number, next: () => Uint8Array): void {
  const timer = setInterval(() => {
    if (socket.writable) socket.write(next());
  }, everyMs);
  socket.once("close", () => clearInterval(timer));
}
