import { once } from "node:events";
import { Agent } from "node:http";
import http2 from "node:http2";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { framed } from "../kit/material.ts";
import { secretAt } from "../kit/tokens.ts";
import type { World } from "../kit/world.ts";

/** What the traffic has done so far, by kind. */
export type Tally = Record<string, number>;

/** Where the traffic goes. */
export interface Aim {
  readonly world: World;
  readonly url: string;
  readonly port: number;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

const WATCH = "/m2mgateway.v1.RevocationService/WatchRevocations";
const WATCHED_CONNECTIONS = 10;
const STREAMS_PER_CONNECTION = 20;
/** Tokens that are asked for one after the other: fewer than a cache holds. */
const TOKENS = 4_000;

/** Every kind of traffic besides the load, until the signal. Rejects when one of them fails that should not. */
export async function mixedTraffic(aim: Aim): Promise<void> {
  await Promise.all([
    comeAndGo(aim),
    cancel(aim),
    breakOff(aim),
    watch(aim),
    readSlowly(aim),
    revoke(aim),
    speakOtherwise(aim),
  ]);
}

/** Connections that make a few calls and leave. */
async function comeAndGo(aim: Aim): Promise<void> {
  for (let count = 0; !aim.signal.aborted; count += 1) {
    const session = open(aim);
    for (let call = 0; call < 5; call += 1) await verify(aim, session, 5 * count + call);
    session.close();
    aim.tally.visits = (aim.tally.visits ?? 0) + 1;
    await rest(aim, 40);
  }
}

/** Calls that are canceled: at once, on their way, and before their body is whole. */
async function cancel(aim: Aim): Promise<void> {
  const session = open(aim);
  for (let count = 0; !aim.signal.aborted; count += 1) {
    const stream = session.request(headers(aim.world.client.path));
    stream.on("error", () => undefined);
    const body = requestBytes(aim, count);
    if (count % 3 === 0) stream.write(body.subarray(0, 7));
    else stream.end(body);
    if (count % 2 === 0) await rest(aim, 1);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    aim.tally.cancels = (aim.tally.cancels ?? 0) + 1;
    await rest(aim, 20);
  }
  session.destroy();
}

/** Connections that are lost: in the middle of a frame, of a request, and with answers under way. */
async function breakOff(aim: Aim): Promise<void> {
  const preface = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.alloc(9)]);
  preface[27] = 4;
  for (let count = 0; !aim.signal.aborted; count += 1) {
    if (count % 2 === 0) {
      const socket = connect(aim.port, "127.0.0.1");
      socket.on("error", () => undefined);
      await once(socket, "connect");
      socket.write(preface.subarray(0, 1 + ((7 * count) % (preface.length + 1))));
      await rest(aim, 5);
      socket.resetAndDestroy();
    } else {
      const session = open(aim);
      for (let call = 0; call < 20; call += 1) {
        const stream = session.request(headers(aim.world.client.path));
        stream.on("error", () => undefined);
        if (call % 4 === 0) stream.write(Buffer.alloc(3));
        else stream.end(requestBytes(aim, call));
      }
      await rest(aim, 5);
      session.destroy();
    }
    aim.tally.losses = (aim.tally.losses ?? 0) + 1;
    await rest(aim, 100);
  }
}

/** Streams of revocations, some of which end and are opened again. */
async function watch(aim: Aim): Promise<void> {
  const sessions = Array.from({ length: WATCHED_CONNECTIONS }, () => open(aim));
  const streams: http2.ClientHttp2Stream[] = [];
  const start = (at: number) => {
    const session = sessions[at % sessions.length];
    if (session === undefined) return;
    const stream = session.request(headers(WATCH));
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      aim.tally.watched_bytes = (aim.tally.watched_bytes ?? 0) + chunk.length;
    });
    stream.end(framed(Buffer.alloc(0)));
    streams[at] = stream;
  };
  for (let at = 0; at < WATCHED_CONNECTIONS * STREAMS_PER_CONNECTION; at += 1) start(at);
  for (let at = 0; !aim.signal.aborted; at = (at + 1) % streams.length) {
    await rest(aim, 50);
    streams[at]?.close(http2.constants.NGHTTP2_CANCEL);
    start(at);
    aim.tally.rewatches = (aim.tally.rewatches ?? 0) + 1;
  }
  for (const session of sessions) session.destroy();
}

/** Streams and answers whose windows stay almost shut. */
async function readSlowly(aim: Aim): Promise<void> {
  while (!aim.signal.aborted) {
    const session = http2.connect(aim.url, { settings: { initialWindowSize: 16 } });
    session.on("error", () => undefined);
    for (let count = 0; count < 20; count += 1) {
      const stream = session.request(headers(count % 2 === 0 ? WATCH : aim.world.client.path));
      stream.on("error", () => undefined);
      stream.end(count % 2 === 0 ? framed(Buffer.alloc(0)) : requestBytes(aim, count));
    }
    aim.tally.slow_readers = (aim.tally.slow_readers ?? 0) + 20;
    await rest(aim, 3_000);
    session.destroy();
  }
}

async function revoke(aim: Aim): Promise<void> {
  const sessionManager = new Http2SessionManager(aim.url);
  const tokens = createClient(TokenService, createGrpcTransport({ baseUrl: aim.url, sessionManager }));
  while (!aim.signal.aborted) {
    const value = await aim.world.emulator.mint();
    // On cores as busy as these Redis may well answer too late; the gateway says so and goes on.
    const isRecorded = await tokens.revokeToken({ target: { case: "tokenId", value } }).then(
      () => true,
      (error: unknown) => {
        if (ConnectError.from(error).code !== Code.Unavailable) throw error;
        return false;
      },
    );
    const kind = isRecorded ? "revocations" : "revocations_unrecorded";
    aim.tally[kind] = (aim.tally[kind] ?? 0) + 1;
    await rest(aim, 500);
  }
  sessionManager.abort();
}

/** Batches and single calls of Connect with JSON over both versions of HTTP, and requests for nothing there is. */
async function speakOtherwise(aim: Aim): Promise<void> {
  const sessionManager = new Http2SessionManager(aim.url);
  // Closed when the traffic ends: connections kept for reuse would be left.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const options = { baseUrl: aim.url, useBinaryFormat: false };
  const clients = [
    createClient(TokenService, createConnectTransport({ ...options, httpVersion: "2", sessionManager })),
    createClient(TokenService, createConnectTransport({ ...options, httpVersion: "1.1", nodeOptions: { agent } })),
  ];
  const session = open(aim);
  for (let count = 0; !aim.signal.aborted; count += 1) {
    const tokens = Array.from({ length: 50 }, (_, at) => secretAt((50 * count + at) % TOKENS));
    const client = clients[count % 2];
    await client?.batchVerifyTokens({ tokens });
    await client?.verifyToken({ token: secretAt(count % TOKENS) });
    const stray = session.request({ ":method": "POST", ":path": "/nothing/there" });
    await once(stray.resume().end("?"), "end");
    aim.tally.other_calls = (aim.tally.other_calls ?? 0) + 3;
    await rest(aim, 100);
  }
  agent.destroy();
  session.destroy();
  sessionManager.abort();
}

/** @throws Error when the answer is not that of a verification */
async function verify(aim: Aim, session: http2.ClientHttp2Session, index: number): Promise<void> {
  const stream = session.request(headers(aim.world.client.path));
  stream.resume().end(requestBytes(aim, index));
  const [trailers] = await once(stream, "trailers");
  if (trailers["grpc-status"] !== "0") throw new Error(`a verification ended with ${trailers["grpc-status"]}`);
}

function open({ url, signal }: Aim): http2.ClientHttp2Session {
  const session = http2.connect(url);
  session.on("error", (error) => {
    if (!signal.aborted) throw error;
  });
  return session;
}

function headers(path: string): http2.OutgoingHttpHeaders {
  return { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
}

function requestBytes({ world }: Aim, index: number): Buffer {
  return framed(world.client.requestBytes({ token: secretAt(index % TOKENS) }));
}

/** Ends early at the signal. */
async function rest({ signal }: Aim, ms: number): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
