import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Http2Engine } from "../../src/http2/engine.ts";
import { makeCertificate } from "../support/certificates.ts";
import { Call, serve } from "./kit/call.ts";
import { eventually, startEngine } from "./kit/engine-fixture.ts";
import { data, opening, repeat, request, settingsAck } from "./kit/frames.ts";
import { connectRaw } from "./kit/raw-client.ts";

const { cert, key } = makeCertificate();
const CARRIERS = [
  { carrier: "TCP", server: {}, client: {} },
  { carrier: "TLS", server: { tls: { cert, key } }, client: { ca: cert } },
];

describe.each(CARRIERS)("connections over $carrier that read into a buffer", ({ carrier, server, client: options }) => {
  it("get the bytes of their own clients, however these are cut", async () => {
    await using engine = await startEngine(server);
    const clients = await Promise.all(Array.from({ length: 4 }, () => connectRaw(engine.port, options)));
    const bodies = clients.map((_, at) => Buffer.alloc(5000, `client ${at}, `));
    const requests = bodies.map((body) => Buffer.concat([request(1, "/echo", false), data(1, body, { end: true })]));
    const longest = Math.max(...requests.map(({ length }) => length));
    for (let at = 0; at < longest; at += 1217) {
      clients.forEach((client, index) => void client.socket.write(requests[index]?.subarray(at, at + 1217) ?? ""));
      // In turn, so that what one of them is in the middle of has to outlast the others' reads.
      const so = Math.min(longest, at + 1217);
      await engine.eventually(() => engine.sockets.every(({ bytesRead }) => bytesRead >= so));
    }
    for (const [at, client] of clients.entries()) {
      expect((await client.answer(1)).body.equals(bodies[at] ?? Buffer.alloc(0))).toBe(true);
      client.socket.destroy();
    }
  });

  it("get all that comes at once, in its order, though they are paused in the middle of it", async () => {
    await using engine = await startEngine(server);
    using client = await connectRaw(engine.port, options);
    await engine.eventually(() => engine.sockets.length === 1);
    const [socket] = engine.sockets;
    const pause = vi.spyOn(socket ?? expect.fail(), "pause");
    const push = vi.spyOn(socket ?? expect.fail(), "push");
    client.send(repeat(MANY, (at) => request(2 * at + 1, `/size/${at % 10}/${"x".repeat(100)}`)));
    await engine.eventually(() => engine.calls.length === MANY);
    expect(engine.calls.map(({ stream }) => stream.id)).toEqual(Array.from({ length: MANY }, (_, at) => 2 * at + 1));
    expect(pause).toHaveBeenCalled();
    // Over TLS what had been read by then.
    if (carrier === "TLS") expect(push).toHaveBeenCalled();
  });
});

describe("a connection over TLS", () => {
  it("has a buffer that no other connection reads into", async () => {
    await using engine = await startEngine({ tls: { cert, key } });
    using _one = await connectRaw(engine.port, { ca: cert });
    using _other = await connectRaw(engine.port, { ca: cert });
    await engine.eventually(() => engine.sockets.length === 2);
    const [one, other] = engine.sockets.map(bufferOf);
    expect(one).toBeInstanceOf(Buffer);
    expect(other).toBeInstanceOf(Buffer);
    expect(one?.buffer).not.toBe(other?.buffer);
  });

  it("is read the ordinary way where this Node has none that takes a buffer", async () => {
    const engine = new Http2Engine({
      lanes: [],
      onStream: (stream) => serve(new Call(stream)),
      onError: (error) => {
        throw error;
      },
    });
    const server = tls.createServer({ cert, key, ALPNProtocols: ["h2"] }, (socket) => {
      Reflect.set(Reflect.get(socket, "_handle"), "useUserBuffer", undefined);
      engine.accept(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    using client = await connectRaw(port, { ca: cert });
    client.send(request(1, "/size/20"));
    expect((await client.answer(1)).body).toHaveLength(20);
    engine.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

const MANY = 800;

function bufferOf(socket: net.Socket): Buffer | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "kBuffer");
  return symbol === undefined ? undefined : Reflect.get(socket, symbol);
}

describe("a connection whose first bytes are there before it is served", () => {
  let server: net.Server;
  let engine: Http2Engine;
  let port: number;

  beforeEach(async () => {
    engine = new Http2Engine({
      lanes: [],
      onStream: (stream) => serve(new Call(stream)),
      onError: (error) => {
        throw error;
      },
    });
    server = net.createServer({ allowHalfOpen: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  });

  afterEach(async () => {
    engine.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  const hello = Buffer.concat([opening(), settingsAck(), request(1, "/size/10")]);

  /** The server's socket once it holds so many bytes. */
  async function accepted(bytes: number): Promise<net.Socket> {
    const [socket]: net.Socket[] = await once(server, "connection");
    if (socket === undefined) throw new Error("no connection");
    await eventually(() => socket.readableLength === bytes);
    return socket;
  }

  it("has them looked at first", async () => {
    const client = await Promise.all([connectRaw(port, { opening: hello }), accepted(hello.length)]).then(
      ([client, socket]) => {
        engine.accept(socket);
        return client;
      },
    );
    client.send(request(3, "/size/20"));
    expect((await client.answer(1)).body).toHaveLength(10);
    expect((await client.answer(3)).body).toHaveLength(20);
    client.socket.destroy();
  });

  it("ends when its client had ended it by then", async () => {
    const client = net.connect({ port, host: "127.0.0.1" });
    client.resume().end(hello);
    const socket = await accepted(hello.length);
    // The client's end is read in a turn of its own, after its bytes.
    await eventually(() => Reflect.get(socket, "_readableState").ended === true);
    engine.accept(socket);
    await once(client, "close");
    await eventually(() => engine.counts.connections === 0 && socket.closed);
  });

  it("is counted by its server until it is over, and cut by the socket that the server made", async () => {
    const [client, socket] = await Promise.all([connectRaw(port, { opening: hello }), accepted(hello.length)]);
    engine.accept(socket);
    await client.answer(1);
    expect(await connections()).toBe(1);
    socket.destroy();
    await client.closed;
    await eventually(() => engine.counts.connections === 0);
    expect(await connections()).toBe(0);
  });

  it("is read the ordinary way where this Node has none that shares a buffer", async () => {
    const [client, socket] = await Promise.all([connectRaw(port, { opening: hello }), accepted(hello.length)]);
    Reflect.set(Reflect.get(socket, "_handle"), "useUserBuffer", undefined);
    expect(engine.accept(socket)).toBe(socket);
    client.send(request(3, "/size/20"));
    expect((await client.answer(1)).body).toHaveLength(10);
    expect((await client.answer(3)).body).toHaveLength(20);
    client.socket.destroy();
  });

  function connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }
});
