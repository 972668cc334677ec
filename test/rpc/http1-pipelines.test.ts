import type http from "node:http";
import net from "node:net";
import tls from "node:tls";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { makeCertificate } from "../support/certificates.ts";
import { eventually, rawExchange } from "./fake-gateway.ts";
import {
  Connection,
  cursorsIn,
  echo,
  holding,
  MAX_PIPELINED,
  names,
  others,
  requestOf,
  requests,
  SMALLEST,
  start,
  startPlain,
} from "./http1-pipelines-fixture.ts";

describe("a hundred requests in one write", () => {
  it.each([
    ["small", {}],
    ["with bodies of 100 KiB", { bodyBytes: 100 * 1024 }],
    ["with chunked bodies of 10 KiB", { bodyBytes: 10 * 1024, chunked: true }],
  ])("are answered in order and whole, and the connection goes on: %s", async (_what, options) => {
    await using served = await start();
    using connection = served.connect();
    connection.socket.write(requests(100, options));
    expect(await connection.cursors(100)).toEqual(names(100));
    connection.socket.write(requestOf(100));
    expect(await connection.cursors(101)).toEqual(names(101));
  });

  it("are answered over TLS", async () => {
    const certificate = makeCertificate();
    await using served = await start(echo, { tls: certificate });
    const { port } = served.server;
    using connection = new Connection(
      tls.connect({ port, host: "127.0.0.1", ca: certificate.cert, servername: "localhost" }),
    );
    connection.socket.write(requests(100, { bodyBytes: 1_000 }));
    expect(await connection.cursors(100)).toEqual(names(100));
  });

  it("are not begun all at once, and others are served meanwhile", async () => {
    const held = holding();
    await using served = await start(held.verifyToken);
    using connection = served.connect();
    connection.socket.write(requests(100));
    await others(served);
    const { length } = held.begun;
    expect(length).toBeGreaterThanOrEqual(8);
    expect(length).toBeLessThanOrEqual(8 + 4096 / 200);
    await others(served);
    expect(held.begun).toHaveLength(length);
    held.letGo();
    expect(await connection.cursors(100)).toEqual(names(100));
    expect(held.begun).toEqual(names(100));
  });

  it.each([0, 3_000])(
    "are answered when their client takes no answer before it has sent all: bodies of %i",
    async (bodyBytes) => {
      const long = "x".repeat(50_000);
      await using served = await start(async ({ token }) => ({ verdict: Verdict.VALID, cursor: `${token}${long}` }));
      using connection = served.connect();
      connection.socket.pause();
      connection.socket.write(requests(100, { bodyBytes }));
      await others(served);
      await eventually(() => served.admission.inFlight > 0);
      connection.socket.resume();
      expect((await connection.cursors(100)).map((cursor) => cursor.slice(0, -long.length))).toEqual(names(100));
    },
  );

  it("that wait behind one which is slow are answered, however long their answers", async () => {
    const held = holding();
    const long = "x".repeat(5_000);
    await using served = await start(async (request, context) => {
      if (request.token === "mt_0") await held.verifyToken(request, context);
      return { verdict: Verdict.VALID, cursor: `${request.token}${long}` };
    });
    using connection = served.connect();
    const all = requests(100, { bodyBytes: 2_000 });
    const few = requests(5, { bodyBytes: 2_000 });
    connection.socket.write(few);
    await others(served);
    connection.socket.write(all.slice(few.length));
    await others(served);
    held.letGo();
    expect((await connection.cursors(100)).map((cursor) => cursor.slice(0, -long.length))).toEqual(names(100));
  });
});

describe("a connection in slices", () => {
  it("is read as it is, wherever its input is cut", async () => {
    await using served = await start();
    const chunked = { bodyBytes: 5_000, chunked: true };
    const padding = fc.integer({ min: 0, max: 4_096 });
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 15_000 }), { maxLength: 6 });
    const check = fc.asyncProperty(padding, cuts, async (bytes, positions) => {
      const input = `${requestOf(0, { bytes })}${requestOf(1, chunked)}${requestOf(2, { bodyBytes: 5_000 })}${requestOf(3)}`;
      using connection = served.connect();
      connection.socket.setNoDelay(true);
      let from = 0;
      for (const to of [...positions.sort((a, b) => a - b), input.length]) {
        connection.socket.write(input.slice(from, to));
        from = to;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await connection.cursors(4)).toEqual(names(4));
    });
    await fc.assert(check, { numRuns: 100 });
  });

  it("that has enough under way is served the rest of its last request once others have ended", async () => {
    const held = holding();
    await using served = await start(held.verifyToken);
    using connection = served.connect();
    const last = requestOf(8, { bodyBytes: 9_000 });
    connection.socket.write(requests(8) + last.slice(0, 5_000));
    await eventually(() => held.begun.length === 8);
    connection.socket.write(last.slice(5_000));
    await others(served);
    expect(held.begun).toHaveLength(8);
    held.letGo();
    expect(await connection.cursors(9)).toEqual(names(9));
  });

  it("that node:http stopped for its answers is not given more than enough when it goes on", async () => {
    const open: http.ServerResponse[] = [];
    let begun = 0;
    await using plain = await startPlain((request, response) => {
      if (request.method === "OPTIONS") {
        response.end();
        return;
      }
      begun += 1;
      open.push(response);
    });
    using connection = new Connection(net.connect(plain.port, "127.0.0.1"));
    connection.socket.write(SMALLEST.repeat(7));
    await eventually(() => begun === 7);
    // Behind the first these are more than may wait for the connection.
    for (const response of open.slice(1)) response.end("x".repeat(5_000));
    connection.socket.write(SMALLEST.replace("x", "x".repeat(174)).repeat(80));
    await eventually(() => begun === 27);
    open[0]?.end("first");
    await eventually(() => connection.received.split("x".repeat(5_000)).length === 7);
    for (let call = 0; call < 10; call += 1) await fetch(`http://127.0.0.1:${plain.port}`, { method: "OPTIONS" });
    expect([begun, connection.socket.closed]).toEqual([27, false]);
    for (let at = 7; at < 87; at += 1) {
      await eventually(() => open.length > at);
      open[at]?.end("last");
    }
    await eventually(() => connection.received.split("last").length === 81);
  });

  it("is not read on while nobody reads the body that it sends", async () => {
    const asked: http.IncomingMessage[] = [];
    await using plain = await startPlain((request, response) => {
      if (request.method === "GET") response.end();
      else asked.push(request);
    });
    const total = 20_000_000;
    using connection = new Connection(net.connect(plain.port, "127.0.0.1"));
    connection.socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${total}\r\n\r\n`);
    connection.socket.write(Buffer.alloc(total));
    for (let call = 0; call < 100; call += 1) await fetch(`http://127.0.0.1:${plain.port}`);
    const [request] = asked;
    expect(request?.socket.bytesRead).toBeLessThan(1_000_000);
    let bytes = 0;
    for await (const piece of request ?? []) bytes += piece.length;
    expect(bytes).toBe(total);
  });

  it("is told to go on with a request that asks before it sends", async () => {
    await using served = await start();
    using connection = served.connect();
    const request = requestOf(0, { more: "expect: 100-continue\r\n" });
    const head = request.slice(0, request.indexOf("\r\n\r\n") + 4);
    connection.socket.write(head);
    await eventually(() => connection.received === "HTTP/1.1 100 Continue\r\n\r\n");
    connection.received = "";
    connection.socket.write(request.slice(head.length));
    expect(await connection.cursors(1)).toEqual(names(1));
  });

  it("is cut for one request more than may be pipelined, all in one slice, and not before", async () => {
    const open: http.ServerResponse[] = [];
    await using plain = await startPlain((_request, response) => open.push(response));
    using few = new Connection(net.connect(plain.port, "127.0.0.1"));
    few.socket.write(SMALLEST.repeat(MAX_PIPELINED));
    await eventually(() => open.length === MAX_PIPELINED);
    using many = new Connection(net.connect(plain.port, "127.0.0.1"));
    many.socket.write(SMALLEST.repeat(MAX_PIPELINED + 1));
    await eventually(() => many.socket.closed);
    for (const response of open) response.end("an answer");
    await eventually(() => few.received.split("an answer").length === MAX_PIPELINED + 1);
    expect(many.received).toBe("");
  });

  it("whose client has ended its side has been parsed to its end, and is closed", async () => {
    await using served = await start();
    const answers = await rawExchange(served.server, requests(99), requestOf(99, { more: "connection: close\r\n" }));
    expect(cursorsIn(answers)).toEqual(names(100));
    using connection = served.connect();
    connection.socket.end(requests(100));
    await eventually(() => connection.socket.closed);
    expect(connection.received).not.toContain("HTTP/1.1 400");
    await eventually(() => served.admission.inFlight === 0);
  });

  it.each([3, 100])("leaves nothing when its client goes while calls wait, %i in all", async (count) => {
    const held = holding();
    await using served = await start(held.verifyToken);
    const connection = served.connect();
    connection.socket.write(requests(count));
    await eventually(() => held.begun.length >= Math.min(count, 8));
    const { length } = held.begun;
    await others(served);
    const { connections } = served.server.counts();
    connection.socket.destroy();
    await others(served);
    held.letGo();
    await eventually(() => served.admission.inFlight === 0 && served.server.counts().connections < connections);
    const canceled = served.gateway.reports.filter(({ code }) => code === "CANCELLED");
    // That a client has gone from which nothing is read shows once something is read again.
    if (count === 3) expect([canceled.length, held.begun.length]).toEqual([3, length]);
  });
});
