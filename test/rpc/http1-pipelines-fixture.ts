import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect } from "vitest";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { Http1Pipelines } from "../../src/rpc/http1-pipelines.ts";
import { admissionWith } from "../support/admission.ts";
import { eventually, type Fakes, post, startFakeGateway, VERIFY, type VerifyToken } from "./fake-gateway.ts";

/** Calls are answered with their token, so that answers can be told apart. */
export const echo: VerifyToken = async ({ token }) => ({ verdict: Verdict.VALID, cursor: token });
const MAX_MESSAGE_BYTES = 256 * 1024;
export const MAX_PIPELINED = 32;

/** A request of at least so many bytes, which is what the padding is for. */
export function requestOf(n: number, { bytes = 200, bodyBytes = 0, chunked = false, more = "" } = {}): string {
  const body = `{"token":"mt_${n}"}`.padEnd(bodyBytes);
  const length = chunked ? "transfer-encoding: chunked" : `content-length: ${body.length}`;
  const head = `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${length}\r\n${more}`;
  const sent = chunked ? chunks(body) : body;
  const padding = "x".repeat(Math.max(0, bytes - head.length - sent.length - 9));
  return `${head}pad: ${padding}\r\n\r\n${sent}`;
}

function chunks(body: string): string {
  const half = body.length >> 1;
  const parts = [body.slice(0, half), body.slice(half)];
  return `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("")}0\r\n\r\n`;
}

export function requests(count: number, options?: Parameters<typeof requestOf>[1]): string {
  return Array.from({ length: count }, (_, n) => requestOf(n, options)).join("");
}

/** What the answers that have come say, in their order; throws for what is none. */
export function cursorsIn(received: string): string[] {
  const cursors: string[] = [];
  for (let rest = received; rest !== ""; ) {
    const end = rest.indexOf("\r\n\r\n");
    const length = Number(/^HTTP\/1\.1 200 .*content-length: (\d+)/is.exec(rest.slice(0, end))?.[1]);
    const body = rest.slice(end + 4, end + 4 + length);
    if (body.length < length || end === -1) return cursors;
    cursors.push(JSON.parse(body).cursor);
    rest = rest.slice(end + 4 + length);
  }
  return cursors;
}

export const names = (count: number) => Array.from({ length: count }, (_, n) => `mt_${n}`);

export class Connection implements Disposable {
  readonly socket: net.Socket;
  received = "";

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      this.received += data;
    });
  }

  /** The answers, once there are so many. */
  async cursors(count: number): Promise<string[]> {
    const ends = () => this.received.split('"}').length - 1;
    await eventually(() => ends() >= count || this.socket.closed);
    return cursorsIn(this.received);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export async function start(verifyToken: VerifyToken = echo, options: Fakes["options"] = {}) {
  const admission = admissionWith();
  const gateway = await startFakeGateway({
    verifyToken,
    options: { admission, maxMessageBytes: MAX_MESSAGE_BYTES, ...options },
  });
  const { server } = gateway;
  const connect = () => new Connection(net.connect(server.port, "127.0.0.1"));
  return { gateway, server, admission, connect, [Symbol.asyncDispose]: () => server.drain(0) };
}

/** Calls wait until they are let go. */
export function holding() {
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const begun: string[] = [];
  const verifyToken: VerifyToken = async (request, context) => {
    // What others ask meanwhile is answered.
    if (request.token === "other") return { verdict: Verdict.VALID };
    begun.push(request.token);
    await held;
    return echo(request, context);
  };
  return { begun, letGo, verifyToken };
}

export const SMALLEST = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/** A server of node:http alone. */
export async function startPlain(serve: http.RequestListener) {
  const pipelines = new Http1Pipelines();
  const server = http.createServer(pipelines.limit(serve));
  server.on("connection", (socket) => pipelines.pace(socket));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Goes through the event loop so often that whatever was to happen by itself has happened. */
export async function others({ gateway }: Awaited<ReturnType<typeof start>>): Promise<void> {
  for (let call = 0; call < 20; call += 1) {
    const answer = await post(gateway, VERIFY, "application/json", `{"token":"other"}`);
    expect(answer.status).toBe(200);
  }
}
