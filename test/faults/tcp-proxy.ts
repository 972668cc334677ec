import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * `pass`: bytes go both ways. `hold`: nothing goes through, and what was sent arrives when the cut is over, as TCP's
 * retransmission has it. `lose`: what is sent is gone, and a connection that lost bytes never carries any again, though
 * neither end is told (a half-open connection, as behind a NAT that has forgotten it).
 */
type Mode = "pass" | "hold" | "lose";

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  dead: boolean;
}

/** One way from a process to a server, which can be cut without either end noticing. */
export class TcpProxy {
  readonly #target: () => number;
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  #mode: Mode = "pass";

  /** `target` is the port on loopback that new connections are led to. */
  private constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(target: () => number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  cut(how: "hold" | "lose"): void {
    this.#mode = how;
    for (const pair of this.#pairs) this.#apply(pair);
  }

  heal(): void {
    this.#mode = "pass";
    for (const pair of this.#pairs) this.#apply(pair);
  }

  /** Ends every connection, as the death of the server does, also of those that are cut. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  async stop(): Promise<void> {
    this.reset();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    const server = connect(this.#target(), "127.0.0.1");
    const pair: Pair = { client, server, dead: false };
    this.#pairs.add(pair);
    this.#lead(pair, client, server);
    this.#lead(pair, server, client);
    this.#apply(pair);
  }

  #lead(pair: Pair, from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on("data", (bytes) => {
      if (this.#mode === "lose") pair.dead = true;
      if (!pair.dead) to.write(bytes);
    });
    // An end is told to the other side only where packets pass; a silent peer stays silent.
    from.on("error", () => from.destroy());
    from.on("close", () => {
      if (this.#mode === "pass") to.destroy();
      if (to.destroyed) this.#pairs.delete(pair);
    });
  }

  #apply({ client, server }: Pair): void {
    for (const socket of [client, server]) {
      if (this.#mode === "hold") socket.pause();
      else socket.resume();
    }
    // An end that came during the cut is told now.
    if (this.#mode === "pass" && (client.destroyed || server.destroyed)) {
      client.destroy();
      server.destroy();
    }
  }
}
