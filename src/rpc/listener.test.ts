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

  it("are handed over one in each round of the event loop, in their order", async () => {
    const served: Socket[] = [];
    const server = http.createServer((request) => served.push(request.socket));
    splitByProtocol(
      server,
      (socket) => served.push(socket),
      () => {},
      TIMEOUT_MS,
    );
    const sockets = await accepted([PREFACE, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", PREFACE, PREFACE]);
    const counts: number[] = [];
    const count = () => {
      counts.push(served.length);
      if (served.length < sockets.length) setImmediate(count);
    };
    for (const socket of sockets) server.emit("connection", socket);
    setImmediate(count);
    while (served.length < sockets.length) await new Promise(setImmediate);
    expect(served).toEqual(sockets);
    for (const [at, now] of counts.entries()) expect(now - (counts[at - 1] ?? 0)).toBeLessThanOrEqual(1);
  });

  it("are nobody's until then, and forgotten when they close before", async () => {
    const served: Socket[] = [];
    const server = http.createServer();
    const undecided = splitByProtocol(
      server,
      (socket) => served.push(socket),
      () => {},
      TIMEOUT_MS,
    );
    const sockets = await accepted([PREFACE, PREFACE]);
    const [first, second] = sockets;
    for (const socket of sockets) server.emit("connection", socket);
    expect([...undecided]).toEqual(sockets);
    while (served.length === 0) await new Promise(setImmediate);
    expect([...undecided]).toEqual([second]);
    second?.destroy();
    while (undecided.size > 0) await new Promise(setImmediate);
    for (let round = 0; round < 3; round++) await new Promise(setImmediate);
    expect(served).toEqual([first]);
  });
});
