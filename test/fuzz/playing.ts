import net from "node:net";
import { type StreamView, StrictPeer } from "./strict-peer.ts";
import { PREFACE, ping } from "./wire.ts";

/** What a client saw of a connection on which some bytes were played. */
export interface Playback {
  readonly streams: ReadonlyMap<number, StreamView>;
  /** Whether the server closed the connection, or said that it is broken. */
  readonly isOver: boolean;
  /** The code of the last GOAWAY. */
  readonly goAway: number | undefined;
  /** Its debug data. */
  readonly goAwayText: string;
}

export interface Patience {
  /** Exchanges of PINGs in a row that must bring nothing else before all is taken to have come. */
  readonly quietRounds: number;
  /** When neither an answer to a PING nor the end of the connection has come for so long, the server hangs. */
  readonly hangMs: number;
  /** Whether a GOAWAY with an error suffices as an end. The connection should be closed with it (RFC 9113, 5.4.1). */
  readonly mayLinger: boolean;
}

/**
 * Plays bytes that follow the preface, chunk by chunk, and waits until the server has no more to say.
 *
 * @throws Error when the server breaks the protocol, or hangs
 */
export async function play(port: number, chunks: readonly Buffer[], patience: Patience): Promise<Playback> {
  const client = new Client(port, patience);
  try {
    for (const chunk of chunks) {
      await client.send(chunk);
      await turn();
    }
    let quiet = 0;
    for (let round = 0; quiet < patience.quietRounds && !client.isOver; round += 1) {
      const before = client.peer.frames;
      await client.roundTrip(`round${round}`);
      for (let i = 0; i < patience.quietRounds; i += 1) await turn();
      quiet = client.peer.frames === before ? quiet + 1 : 0;
    }
    client.check();
    const { goAway, goAwayText } = client.peer;
    return { streams: client.peer.views(), isOver: client.isOver, goAway, goAwayText };
  } finally {
    client.destroy();
  }
}

class Client {
  readonly peer = new StrictPeer();
  readonly #mayLinger: boolean;
  #isClosed = false;
  readonly #socket: net.Socket;
  readonly #timer: NodeJS.Timeout;
  #problem: Error | undefined;
  #wake = () => {};

  constructor(port: number, { hangMs, mayLinger }: Patience) {
    this.#mayLinger = mayLinger;
    this.#socket = net.connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.write(PREFACE);
    this.#timer = setTimeout(() => this.#fail(new Error("the server hangs")), hangMs);
    this.#socket.on("data", (bytes) => {
      try {
        this.peer.receive(bytes);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
      this.#wake();
    });
    this.#socket.on("drain", () => this.#wake());
    // Of a connection that the server closed while we were sending the system may tell as an error.
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("end", () => this.#onClosed());
    this.#socket.on("close", () => this.#onClosed());
  }

  get isOver(): boolean {
    return this.#isClosed || (this.#mayLinger && (this.peer.goAway ?? 0) !== 0);
  }

  async send(bytes: Buffer): Promise<void> {
    if (this.isOver) return;
    this.peer.sending(bytes);
    this.#socket.write(bytes);
    await this.#until(() => this.#socket.writableLength < 65_536);
  }

  /** Until the server has answered a PING or closed. */
  async roundTrip(name: string): Promise<void> {
    const { answeredPings } = this.peer;
    const opaque = name.padEnd(8).slice(0, 8);
    await this.send(ping(opaque));
    await this.#until(() => answeredPings.at(-1) === opaque);
  }

  /** @throws Error */
  check(): void {
    if (this.#isClosed && this.peer.goAway !== undefined) this.peer.end();
    if (this.#problem !== undefined) throw this.#problem;
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  /** Also when nothing is to come any more. */
  async #until(condition: () => boolean): Promise<void> {
    while (!this.isOver && this.#problem === undefined && !condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  #onClosed(): void {
    this.#isClosed = true;
    this.#wake();
  }

  #fail(problem: Error): void {
    this.#problem ??= problem;
    this.#wake();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
