import type { PeerOf } from "../callers/peer.ts";
import { Http2Engine } from "../http2/engine.ts";
import type { ServerStream } from "../http2/server-stream.ts";
import type { UnaryLane } from "../http2/unary-lane.ts";
import type { OverloadLimits } from "./admission.ts";
import { EngineExchange } from "./engine-exchange.ts";
import type { Http2Transport } from "./http2-transport.ts";
import type { RequestListener } from "./request-listener.ts";
import type { StreamLane } from "./stream-lane.ts";
import { IDLE_SESSION_TIMEOUT_MS, SETTINGS_TIMEOUT_MS } from "./transport-limits.ts";

/** Calls that the engine serves without the RPC framework, where they are nothing out of the ordinary. */
export interface Lanes {
  readonly unary: readonly UnaryLane[];
  readonly streams: readonly StreamLane[];
}

/** HTTP/2 by the gateway's own engine. */
export function createEngineHttp2(
  listener: RequestListener,
  peerOf: PeerOf,
  lanes: Lanes,
  onError: (error: unknown) => void,
  { maxStreamsPerConnection, maxStreams, maxPendingBytes }: OverloadLimits,
): Http2Transport {
  const streamLanes = new Map(lanes.streams.map((lane) => [lane.path, lane]));
  const serveOrdinarily = (stream: ServerStream) => {
    const exchange = new EngineExchange(stream, peerOf(stream.socket));
    listener.handle(exchange);
    return exchange;
  };
  const engine = new Http2Engine({
    lanes: lanes.unary,
    onStream(stream) {
      const lane = streamLanes.get(stream.head.path);
      if (lane?.admits(stream.head, stream.socket) !== true) serveOrdinarily(stream);
      else lane.serve(stream, (body) => resume(serveOrdinarily(stream), stream, body));
    },
    isBehind: (socket) => listener.isBehind(peerOf(socket)),
    onError,
    limits: {
      settingsTimeoutMs: SETTINGS_TIMEOUT_MS,
      idleTimeoutMs: IDLE_SESSION_TIMEOUT_MS,
      maxConcurrentStreams: maxStreamsPerConnection,
      maxStreams,
      maxUnreadBytes: maxPendingBytes,
    },
  });
  return {
    accept: (socket) => engine.accept(socket),
    get streamCount() {
      return engine.counts.streams;
    },
    get refusedStreamCount() {
      return engine.refusedStreams;
    },
    drain() {
      for (const lane of lanes.streams) lane.drain();
      engine.drain();
    },
  };
}

/** Gives the exchange what had come of the body before it was made. */
function resume(exchange: EngineExchange, stream: ServerStream, body: Buffer): void {
  if (body.length > 0) exchange.onData(body, 0, body.length);
  if (stream.remoteEnded) exchange.onEnd();
}
