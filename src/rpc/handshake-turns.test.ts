import { once } from "node:events";
import { createServer, type Server } from "node:https";
import net, { type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeTurnsAtHandshakes } from "./handshake-turns.ts";

const CLIENTS = 8;
/** A record of a handshake, by its head, with five bytes in it. */
const HELLO = Buffer.from("\x16\x03\x01\x00\x05hello", "latin1");

describe("takeTurnsAtHandshakes", () => {
  let server: Server;
  let port: number;
  /** In which round of the event loop the handshake of each connection was begun. */
  let begunIn: number[];
  let sockets: Socket[];
  const clients: Socket[] = [];

  async function start(timeoutMs: number): Promise<void> {
    takeTurnsAtHandshakes(server, timeoutMs);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  }

  beforeEach(() => {
    begunIn = [];
    sockets = [];
    let round = 0;
    server = createServer();
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      begunIn.push(round);
      sockets.push(socket);
      setImmediate(() => {
        round += 1;
      });
    });
  });

  afterEach(async () => {
    for (const socket of [...clients.splice(0), ...sockets]) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  async function connect(): Promise<Socket> {
    const client = net.connect(port, "127.0.0.1");
    client.on("error", () => undefined);
    clients.push(client);
    await once(client, "connect");
    return client;
  }

  async function begun(count: number): Promise<void> {
    while (begunIn.length < count) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Clients whose connections the server has taken. */
  async function connectAll(): Promise<{ readonly all: readonly Socket[]; readonly accepted: readonly Socket[] }> {
    const accepted: Socket[] = [];
    server.on("connection", (socket: Socket) => accepted.push(socket));
    const all = await Promise.all(Array.from({ length: CLIENTS }, connect));
    while (accepted.length < CLIENTS) await new Promise((resolve) => setImmediate(resolve));
    return { all, accepted };
  }

  it("has each begun in a round of its own, with all that its client has said", async () => {
    await start(60_000);
    const { all } = await connectAll();
    for (const client of all) client.write(HELLO);
    await begun(CLIENTS);
    expect(new Set(begunIn).size).toBe(CLIENTS);
    expect(sockets.map((socket) => socket.read())).toEqual(Array(CLIENTS).fill(HELLO));
  });

  it("has those begun in turns that say the last of their hello at once", async () => {
    await start(60_000);
    const { all, accepted } = await connectAll();
    for (const client of all) client.setNoDelay().write(HELLO.subarray(0, 7));
    while (accepted.some(({ bytesRead }) => bytesRead < 7)) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(begunIn).toEqual([]);
    for (const client of all) client.write(HELLO.subarray(7));
    await begun(CLIENTS);
    expect(new Set(begunIn).size).toBe(CLIENTS);
    expect(sockets.map((socket) => socket.read())).toEqual(Array(CLIENTS).fill(HELLO));
  });

  it.each([
    ["no handshake", "GET / HTTP/1.1"],
    ["one of an impossible length", `\x16\x03\x01\xff\xff${"x".repeat(16 * 1024)}`],
  ])("leaves to TLS what is %s", async (_what, said) => {
    await start(60_000);
    (await connect()).write(Buffer.from(said, "latin1"));
    await begun(1);
    expect(begunIn).toHaveLength(1);
  });

  it.each([
    ["nothing", ""],
    ["half a hello", HELLO.subarray(0, 7)],
  ])("begins none with a client that has said %s, and closes it in time", async (_what, said) => {
    await start(50);
    const client = await connect();
    client.write(said);
    await once(client.resume(), "close");
    expect(begunIn).toEqual([]);
  });

  it("begins none with a client that has ended, and closes it", async () => {
    await start(60_000);
    const client = await connect();
    client.end();
    await once(client.resume(), "close");
    expect(begunIn).toEqual([]);
  });

  it("begins none with a client that has gone by its turn", async () => {
    await start(60_000);
    const { all } = await connectAll();
    let gone = 0;
    for (const [at, client] of all.entries()) {
      client.resume().once("close", () => {
        gone += 1;
      });
      if (at === 0) client.write(HELLO);
      else client.end(HELLO);
    }
    while (begunIn.length + gone < CLIENTS) await new Promise((resolve) => setImmediate(resolve));
    // Those whose turn came before their end was read had one.
    expect(begunIn.length).toBeLessThan(CLIENTS);
  });
});
