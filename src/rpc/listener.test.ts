import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { splitByProtocol } from "./listener.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TIMEOUT_MS = 10_000;

describe("connections that open together", () => {
  const clients: Socket[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  /** Accepted sockets whose clients have said this, all of it there to be read. */
  async function accepted(words: readonly string[]): Promise<Socket[]> {
    const server = net.createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const sockets: Socket[] = [];
    for (const word of words) {
      const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
      clients.push(client);
      const [socket] = (await once(server, "connection")) as [Socket];
      client.write(word);
      while (socket.readableLength < word.length) await new Promise((resolve) => socket.once("readable", resolve));
      sockets.push(socket);
    }
    server.close();
    return sockets;
  }

  /** A server that only hands over: to whom, and in which round of the event loop. */
  function split() {
    const handed: { socket: Socket; round: number }[] = [];
    let round = 0;
    const hand = (socket: Socket) => {
      handed.push({ socket, round });
      setImmediate(() => {
        round += 1;
      });
    };
    const server = http.createServer();
    return { server, handed, undecided: splitByProtocol(server, hand, hand, TIMEOUT_MS) };
  }

  async function untilHanded(handed: readonly unknown[], count: number): Promise<void> {
    while (handed.length < count) await new Promise(setImmediate);
  }

  it("are handed over one in each round of the event loop, in their order", async () => {
    const { server, handed } = split();
    const sockets = await accepted([PREFACE, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", PREFACE, PREFACE]);
    for (const socket of sockets) server.emit("connection", socket);
    await untilHanded(handed, sockets.length);
    expect(handed.map(({ socket }) => socket)).toEqual(sockets);
    expect(new Set(handed.map(({ round }) => round)).size).toBe(sockets.length);
  });

  it("are nobody's until then, are not read, and are forgotten when they close before", async () => {
    const { server, handed, undecided } = split();
    const sockets = await accepted([PREFACE, PREFACE, PREFACE]);
    const [first, second, third] = sockets;
    for (const socket of sockets) server.emit("connection", socket);
    expect([...undecided]).toEqual(sockets);
    await untilHanded(handed, 1);
    expect([...undecided]).toEqual([second, third]);
    expect(Reflect.get(third ?? {}, "_handle")).toMatchObject({ reading: false });
    second?.destroy();
    await untilHanded(handed, 2);
    expect(handed.map(({ socket }) => socket)).toEqual([first, third]);
    expect(undecided.size).toBe(0);
  });

  it("do not wait where nobody else came in the same round", async () => {
    const { server, handed } = split();
    const [socket] = await accepted([PREFACE]);
    server.emit("connection", socket);
    // The event loop does not go on meanwhile.
    for (let n = 0; n < 10 && handed.length === 0; n++) await new Promise((resolve) => process.nextTick(resolve));
    expect(handed).toHaveLength(1);
  });
});
