import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { Http2Engine } from "../../../src/http2/engine.ts";
import type { EngineLimits } from "../../../src/http2/engine-limits.ts";
import type { ServerStream } from "../../../src/http2/server-stream.ts";
import type { UnaryLane } from "../../../src/http2/unary-lane.ts";
import { Call, serve } from "./call.ts";

export interface EngineFixtureOptions {
  readonly lanes?: readonly UnaryLane[];
  readonly limits?: Partial<EngineLimits>;
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Serves a call; `serve` when not given. */
  readonly onCall?: (call: Call) => void;
  readonly isBehind?: () => boolean;
  /** In place of calls. */
  readonly onStream?: (stream: ServerStream) => void;
}

export interface EngineFixture extends AsyncDisposable {
  readonly engine: Http2Engine;
  readonly port: number;
  /** All calls that began, in their order. */
  readonly calls: Call[];
  /** What carries the connections that were accepted. */
  readonly sockets: net.Socket[];
  readonly errors: unknown[];
  /** Waits for the server's side of things. */
  eventually(condition: () => boolean): Promise<void>;
}

/**
 * An engine on a port of its own. Disposing of it cuts what is open, and fails if anything of the engine's is left then:
 * connections, streams, unread bytes, calls that were not told of
 * their end exactly once, or an error that the test did not take out of `errors`.
 */
export async function startEngine(options: EngineFixtureOptions = {}): Promise<EngineFixture> {
  const { lanes = [], limits = {}, onCall = serve } = options;
  const calls: Call[] = [];
  const errors: unknown[] = [];
  const sockets: net.Socket[] = [];
  const onStream = (stream: ServerStream) => {
    const call = new Call(stream);
    calls.push(call);
    onCall(call);
  };
  const onError = (error: unknown) => errors.push(error);
  const { isBehind } = options;
  const engine = new Http2Engine({ lanes, limits, onStream: options.onStream ?? onStream, isBehind, onError });
  const accept = (socket: net.Socket) => void sockets.push(engine.accept(socket));
  const server =
    options.tls === undefined
      ? net.createServer({ allowHalfOpen: true, noDelay: true }, accept)
      : tls.createServer({ ...options.tls, ALPNProtocols: ["h2"] }, accept);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 1024, resolve));
  const address: AddressInfo | string | null = server.address();
  return {
    engine,
    port: typeof address === "object" && address !== null ? address.port : 0,
    calls,
    sockets,
    errors,
    eventually,
    async [Symbol.asyncDispose]() {
      engine.destroy();
      await new Promise((resolve) => server.close(resolve));
      await eventually(() => engine.counts.connections === 0);
      const { streams, unreadBytes } = engine.counts;
      if (streams !== 0 || unreadBytes !== 0) throw new Error(`left over: ${streams} streams, ${unreadBytes} bytes`);
      const odd = calls.filter((call) => call.overCount !== 1);
      if (errors.length > 0) throw errors[0];
      if (odd.length > 0) throw new Error(`told of their end ${odd.map((call) => call.overCount)} times`);
    },
  };
}

/** Resolves when the condition holds; a test whose condition never does runs into its time limit. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
