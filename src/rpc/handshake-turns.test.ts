import { once } from "node:events";
import { createServer, type Server } from "node:https";
import net, { type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeTurnsAtHandshakes } from "./handshake-turns.ts";

const CLIENTS = 8;
const TIMEOUT_MS = 50;

describe("takeTurnsAtHandshakes", () => {
  let server: Server;
  let port: number;
  /** In which round of the event loop the handshake of each connection was begun. */
  let begunIn: number[];
  let sockets: Socket[];
  const clients: Socket[] = [];

  beforeEach(async () => {
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
    takeTurnsAtHandshakes(server, TIMEOUT_MS);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
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

  it("has each begun in a round of its own, with all that its client has said", async () => {
    const all = await Promise.all(Array.from({ length: CLIENTS }, connect));
    for (const client of all) client.write("hello");
    while (begunIn.length < CLIENTS) await new Promise((resolve) => setImmediate(resolve));
    expect(new Set(begunIn).size).toBe(CLIENTS);
    expect(sockets.map((socket) => String(socket.read()))).toEqual(Array(CLIENTS).fill("hello"));
  });

  it("begins none with a client that has said nothing, and closes it in time", async () => {
    const client = await connect();
    await once(client.resume(), "close");
    expect(begunIn).toEqual([]);
  });

  it("begins none with a client that has ended, and closes it", async () => {
    const client = await connect();
    client.end();
    await once(client.resume(), "close");
    expect(begunIn).toEqual([]);
  });

  it("begins none with a client that has gone by its turn", async () => {
    const accepted: Socket[] = [];
    server.on("connection", (socket: Socket) => accepted.push(socket));
    const all = await Promise.all(Array.from({ length: CLIENTS }, connect));
    while (accepted.length < CLIENTS) await new Promise((resolve) => setImmediate(resolve));
    for (const client of all) client.write("hello");
    while (begunIn.length < 1) await new Promise((resolve) => setImmediate(resolve));
    const [begun] = sockets;
    for (const socket of accepted) if (socket !== begun) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, TIMEOUT_MS));
    expect(begunIn).toHaveLength(1);
  });
});
