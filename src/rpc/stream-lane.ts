import type { Socket } from "node:net";
import type { RequestHead } from "../http2/request-head.ts";
import type { ServerStream } from "../http2/server-stream.ts";

/** Calls of one path that are served straight on the engine's streams, without what the RPC framework costs each. */
export interface StreamLane {
  readonly path: string;
  /** Whether calls with this head are for the lane, on this connection. */
  admits(head: RequestHead, socket: Socket): boolean;
  /**
   * Serves a call, unless its body turns out to be out of the ordinary: then `leave` has it served as if the lane were not
   * there. Must set `stream.consumer`.
   *
   * @param leave takes what has come of the body
   */
  serve(stream: ServerStream, leave: (body: Buffer) => void): void;
  /** Ends every call: the gateway is going away. */
  drain(): void;
}
