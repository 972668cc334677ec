import { constants, Http2ServerRequest } from "node:http2";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { canceled, GatewayError } from "../token/errors.ts";
import { type CallContext, contextValuesOf } from "./call-context.ts";
import { CallReporter, type OnCall } from "./call-report.ts";
import { connectErrorFrom } from "./connect-error.ts";
import { headersOf, type NodeRequest, type NodeResponse, pathOf } from "./node-message.ts";
import { protocolOf } from "./protocol.ts";
import { readBody } from "./request-body.ts";
import { writeResponse } from "./response-writer.ts";
import { takeTimeoutMs } from "./timeout-header.ts";
import { answerUnknown } from "./unknown-rpc.ts";

export interface RequestListenerOptions {
  readonly handlers: readonly UniversalHandler[];
  readonly onCall: OnCall;
  /** How long the body of a call with a single request message may take to arrive, in milliseconds. */
  readonly bodyTimeoutMs: number;
}

export interface RequestListener {
  handle(request: NodeRequest, response: NodeResponse): void;
  /** Tells every open stream, and every stream to come, that the server drains. */
  drain(): void;
}

/**
 * Serves the RPC framework's handlers to node's HTTP/1.1 and HTTP/2 servers. In place of the framework's own adapter,
 * because that one throws out of the server's event when the Host header is not a URL's, destroys a connection whose
 * request is too large before the answer is on it, logs to the console, and does not say when a call ends.
 */
export function createRequestListener(options: RequestListenerOptions): RequestListener {
  const handlers = new Map(options.handlers.map((handler) => [handler.requestPath, handler]));
  const streams = new Set<AbortController>();
  const never = new AbortController().signal;
  let draining = false;

  return {
    handle(request, response) {
      const handler = handlers.get(pathOf(request));
      if (handler === undefined) {
        answerUnknown(request, response, options.onCall);
        return;
      }
      if (handler.method.methodKind === "unary") {
        void serve(handler, request, response, options, never);
        return;
      }
      const drain = new AbortController();
      if (draining) drain.abort(drainingError());
      streams.add(drain);
      void serve(handler, request, response, options, drain.signal).finally(() => streams.delete(drain));
    },
    drain() {
      draining = true;
      for (const stream of streams) stream.abort(drainingError());
    },
  };
}

function drainingError(): GatewayError {
  return new GatewayError("DRAINING", "the gateway is shutting down");
}

/** Never rejects. */
async function serve(
  handler: UniversalHandler,
  request: NodeRequest,
  response: NodeResponse,
  options: RequestListenerOptions,
  drain: AbortSignal,
): Promise<void> {
  const protocol = protocolOf(request.headers["content-type"]);
  const { service, method } = handler;
  const reporter = new CallReporter(options.onCall, { service: service.typeName, method: method.name, protocol });
  const context: CallContext = { drain, thrown: undefined };
  const caller = new AbortController();
  let answered = false;
  response.once("close", () => {
    if (answered) return;
    reporter.end(connectErrorFrom(canceled()), undefined);
    caller.abort(canceled());
  });
  try {
    const answer = await handler(universalRequest(request, caller.signal, options, handler, context));
    const error = await writeResponse(response, answer, protocol);
    answered = true;
    reporter.end(error, context.thrown);
    discardRest(request, handler, options);
  } catch (error) {
    answered = true;
    reporter.end(connectErrorFrom(error), error);
    response.destroy();
  }
}

function universalRequest(
  request: NodeRequest,
  signal: AbortSignal,
  options: RequestListenerOptions,
  handler: UniversalHandler,
  context: CallContext,
): UniversalServerRequest {
  const header = headersOf(request);
  const timeoutMs = takeTimeoutMs(protocolOf(request.headers["content-type"]), header);
  const bodyTimeoutMs = takesOne(handler)
    ? Math.min(timeoutMs ?? options.bodyTimeoutMs, options.bodyTimeoutMs)
    : timeoutMs;
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? "",
    // Only the path and the query are of use; the authority is the caller's to choose and need not be well-formed.
    url: new URL(request.url ?? "", "http://gateway").toString(),
    header,
    body: readBody(request, bodyTimeoutMs),
    signal,
    contextValues: contextValuesOf(context),
  };
}

/**
 * A caller may still be sending when it has its answer. Of a message too large the rest is read and dropped, because a
 * client whose request is cut off may well drop the answer with it; the time a body may take bounds that. A stream of
 * requests may have no end: over HTTP/2 it is told to stop (RFC 9113, 8.1), once the trailers are on their way.
 */
function discardRest(request: NodeRequest, handler: UniversalHandler, { bodyTimeoutMs }: RequestListenerOptions): void {
  if (request.complete) return;
  const cut = () => {
    if (request instanceof Http2ServerRequest) request.stream.close(constants.NGHTTP2_NO_ERROR);
    else request.socket.destroy();
  };
  request.resume();
  if (request instanceof Http2ServerRequest && !takesOne(handler)) {
    request.stream.once("wantTrailers", () => setImmediate(cut));
  }
  const timer = setTimeout(cut, bodyTimeoutMs);
  request.once("close", () => clearTimeout(timer));
  request.once("end", () => clearTimeout(timer));
}

function takesOne({ method }: UniversalHandler): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}
