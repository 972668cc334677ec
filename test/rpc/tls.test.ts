import { once } from "node:events";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type Certificate, makeCertificate } from "../support/certificates.ts";
import { eventually, type FakeGateway, type Fakes, grpcVerify, startFakeGateway, VERIFY } from "./fake-gateway.ts";

let certificate: Certificate;
beforeAll(() => {
  certificate = makeCertificate();
});

function startTlsGateway(fakes: Fakes = {}): Promise<FakeGateway> {
  return startFakeGateway({ ...fakes, options: { listen: { host: "localhost", port: 0 }, tls: certificate } });
}

/** TLS names servers by name only: an address in its place is a warning. */
function localhost({ server }: FakeGateway): string {
  return `https://localhost:${server.port}`;
}

/** A TLS connection past its handshake. */
async function connectTls({ server }: FakeGateway, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port: server.port, host: "localhost", ca: certificate.cert, ...options });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
}

async function everythingFrom(socket: net.Socket): Promise<string> {
  let received = "";
  socket.setEncoding("latin1").on("data", (data) => {
    received += data;
  });
  await once(socket, "close");
  return received;
}

describe("with TLS", () => {
  it("the URL says so", async () => {
    await using gateway = await startTlsGateway();
    expect(gateway.server.url).toBe(`https://localhost:${gateway.server.port}`);
  });

  it.each([
    ["gRPC", createGrpcTransport, "2"],
    ["gRPC-Web over HTTP/1.1", createGrpcWebTransport, "1.1"],
    ["gRPC-Web over HTTP/2", createGrpcWebTransport, "2"],
    ["Connect over HTTP/1.1", createConnectTransport, "1.1"],
    ["Connect over HTTP/2", createConnectTransport, "2"],
  ] as const)("%s of connect-node is served", async (_name, createTransport, httpVersion) => {
    await using gateway = await startTlsGateway();
    const transport = createTransport({
      baseUrl: localhost(gateway),
      httpVersion,
      nodeOptions: { ca: certificate.cert },
    });
    const client = createClient(TokenService, transport);
    expect((await client.verifyToken({ token: "mt_1" })).verdict).toBe(Verdict.VALID);
  });

  it("@grpc/grpc-js is served", async () => {
    await using gateway = await startTlsGateway();
    const credentials = grpc.credentials.createSsl(Buffer.from(certificate.cert));
    const client = new grpc.Client(`localhost:${gateway.server.port}`, credentials);
    expect((await grpcVerify(client, "mt_1")).verdict).toBe(Verdict.VALID);
    client.close();
  });

  it("node:http2 is served", async () => {
    await using gateway = await startTlsGateway();
    const session = http2.connect(localhost(gateway), { ca: certificate.cert });
    const stream = session.request({ ":path": "/" });
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(200);
    expect((session.socket as tls.TLSSocket).alpnProtocol).toBe("h2");
    session.destroy();
  });

  it("HTTP/1.1 is served to a client that offers nothing else", async () => {
    await using gateway = await startTlsGateway();
    const request = https.request(`${localhost(gateway)}${VERIFY}`, {
      ca: certificate.cert,
      method: "POST",
      headers: { "content-type": "application/json" },
      agent: false,
    });
    request.end(`{"token":"mt_1"}`);
    const [response] = await once(request, "response");
    expect(response).toMatchObject({ statusCode: 200, httpVersion: "1.1" });
    response.resume();
  });

  it.each([
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (first: Buffer) => first.readUInt8(3) === 4],
    ["HTTP/1.1", "GET / HTTP/1.1\r\nhost: x\r\n\r\n", (first: Buffer) => first.toString().startsWith("HTTP/1.1 200")],
  ])("a client that names no protocol is taken at its first bytes: %s", async (_name, opening, isRight) => {
    await using gateway = await startTlsGateway();
    const socket = await connectTls(gateway, {});
    expect(socket.alpnProtocol).toBe(false);
    socket.write(opening.slice(0, 7));
    socket.write(opening.slice(7));
    if (opening.startsWith("PRI")) socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    const [first] = await once(socket, "data");
    socket.destroy();
    expect(isRight(first)).toBe(true);
  });

  it("a client that announced HTTP/1.1 is not taken for one of HTTP/2", async () => {
    await using gateway = await startTlsGateway();
    const socket = await connectTls(gateway, { ALPNProtocols: ["http/1.1"] });
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect(await everythingFrom(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it.each([
    ["TLS 1.1", { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }],
    ["no protocol that is spoken here", { ALPNProtocols: ["spdy/3"] }],
  ] as const)("a client that offers %s is refused", async (_name, options) => {
    await using gateway = await startTlsGateway();
    await expect(connectTls(gateway, { ...options })).rejects.toThrow(/alert/);
  });

  it("a client in clear text is refused without harm to others", async () => {
    await using gateway = await startTlsGateway();
    const socket = net.connect(gateway.server.port, "localhost");
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    expect(await everythingFrom(socket)).not.toContain("HTTP/");
    const after = await connectTls(gateway, { ALPNProtocols: ["h2"] });
    after.destroy();
  });

  it.each([
    ["after its handshake", []],
    ["after it announced HTTP/2", ["h2"]],
  ])("a client that says nothing %s is closed in time", async (_when, ALPNProtocols) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      await using gateway = await startTlsGateway();
      const socket = await connectTls(gateway, { ALPNProtocols });
      let closed = false;
      void everythingFrom(socket).then(() => {
        closed = true;
      });
      await eventually(() => {
        vi.advanceTimersByTime(1000);
        return closed;
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it("draining ends connections that are idle or in the middle of their handshake at once", async () => {
    const gateway = await startTlsGateway();
    const handshaking = net.connect(gateway.server.port, "localhost");
    await once(handshaking, "connect");
    const silent = await connectTls(gateway, {});
    const session = http2.connect(localhost(gateway), { ca: certificate.cert });
    await once(session, "remoteSettings");
    const closed = [handshaking, silent].map((socket) => once(socket, "close"));
    for (const socket of [handshaking, silent]) socket.resume();
    await gateway.server.drain(600_000);
    await Promise.all(closed);
  });

  it.each(["1.1", "2"] as const)(
    "draining lets calls over HTTP/%s finish, then closes their connections",
    async (httpVersion) => {
      let answer = () => {};
      let hasStarted = false;
      const held = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const gateway = await startTlsGateway({
        verifyToken: async () => {
          hasStarted = true;
          await held;
          return { verdict: Verdict.VALID };
        },
      });
      const transport = createConnectTransport({
        baseUrl: localhost(gateway),
        httpVersion,
        nodeOptions: { ca: certificate.cert },
      });
      const call = createClient(TokenService, transport).verifyToken({ token: "mt_1" });
      await eventually(() => hasStarted);
      const drained = gateway.server.drain(600_000);
      answer();
      expect((await call).verdict).toBe(Verdict.VALID);
      await drained;
    },
  );

  it("an identity that cannot be used keeps the server from starting", async () => {
    await expect(startFakeGateway({ options: { tls: { cert: "x", key: "y" } } })).rejects.toThrow();
  });
});
